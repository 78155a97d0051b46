"""What the host application knows: its signals and its custom functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

from handlebar._plumbing import logs, safe_json
from handlebar._plumbing.interrupts import is_interrupt
from handlebar._plumbing.time_limits import call_within, told
from handlebar.policy.facts import Call, UnavailableError


@frozen
class Host:
    """
    The functions that a client was given; lives as long as its control plane.

    Attributes:
        signals: Functions by key; each is called with the bound arguments as one dict, and returns a value.

        custom_functions: Functions by name; each is called with the rule's arguments as a dict, and the `Call`.

        timeout_seconds: How long one of them may take.
    """

    signals: Mapping[str, Callable[..., Any]]
    custom_functions: Mapping[str, Callable[..., Any]]
    timeout_seconds: float = 2.0


class HostAnswers:
    """
    The host's answers for one decision; each function is asked once for the same arguments.

    An answer that cannot be had stays one that cannot be had: asking again could give another decision.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._answers: dict[str, tuple[Any, bool]] = {}

    def signal(self, key: str, args: Mapping[str, Any]) -> Any:
        """Return the signal's value, as `Facts` says."""
        return self._ask("signal", self._host.signals, key, dict(args))

    def custom(self, name: str, args: Mapping[str, Any], call: Call) -> bool:
        """Return the custom function's answer, as `Facts` says."""
        return bool(self._ask("custom function", self._host.custom_functions, name, dict(args), call))

    def _ask(self, what: str, functions: Mapping[str, Callable[..., Any]], name: str, *args: Any) -> Any:
        question = safe_json.canonical([what, name, args[0]])
        if question not in self._answers:
            self._answers[question] = self._answer(what, functions.get(name), name, *args)
        value, available = self._answers[question]
        if not available:
            raise UnavailableError(f"No value could be had from the {what} {name!r}")
        return value

    def _answer(self, what: str, function: Callable[..., Any] | None, name: str, *args: Any) -> tuple[Any, bool]:
        """Return the value, and whether there is one."""
        try:
            if function is None:
                return None, False
            return call_within(function, *args, timeout_seconds=self._host.timeout_seconds), True
        except Exception as error:  # whatever the host's function does, the rule's onMissing is there for it
            if is_interrupt(error):
                raise
            logs.warn_once_a_minute(f"host:{name}", "The %s %r failed: %s", what, name, told(error))
            return None, False
