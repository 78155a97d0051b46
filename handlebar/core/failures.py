"""Failures of functions that the user gave us: swallowed, logged once a minute, reported once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from handlebar._plumbing import logs
from handlebar._plumbing.interrupts import is_interrupt
from handlebar._plumbing.time_limits import told

T = TypeVar("T")

OnError = Callable[[str, str], object]
"""Takes the name of what failed, and the reason in words that give nothing away."""


def tell_nobody(key: str, reason: str) -> None:
    """Where nobody wants to know of failures."""


class Failures:
    """
    Guards calls of the user's functions, and remembers which of them have been reported.

    Thread-safe; where two threads meet, one failure may be reported twice.

    Args:
        what: What the functions are, e.g. `metric hook`.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._reported: set[str] = set()

    def guard(self, key: str, on_error: OnError, call: Callable[[], T]) -> T | None:
        """Make the *call* that is known as *key*; return its result, None where it fails."""
        try:
            return call()
        except Exception as error:  # whatever the user's function does, the agent goes on
            if is_interrupt(error):
                raise
            self.report(key, told(error), on_error)
            return None

    def report(self, key: str, reason: str, on_error: OnError) -> None:
        """Log that *key* failed, and tell *on_error* if it is the first time."""
        logs.warn_once_a_minute(f"{self._what}:{key}", "The %s %r failed: %s", self._what, key, reason)
        if key not in self._reported:
            self._reported.add(key)
            on_error(key, reason)
