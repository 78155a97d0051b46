"""Conversations as models demand them: each tool call has its result right behind it, and no result is alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import frozen

UNANSWERED = "(The work was handed over before this call had a result.)"
"""What stands for a result that there is not."""


@frozen(kw_only=True)
class ToolResults:
    """
    How a framework has tool calls and their results.

    Attributes:
        calls: Returns the calls in a message, name by id.

        answered: Returns the id of the call that a message is the result of; None where it is no result.

        result: Makes the result of a call, from its id, the tool's name, and the text.

        text: Makes an ordinary message of a result.
    """

    calls: Callable[[Any], Mapping[str, str]]
    answered: Callable[[Any], str | None]
    result: Callable[[str, str, str], Any]
    text: Callable[[Any], Any]

    def repaired(self, messages: Iterable[Any]) -> list[Any]:
        """Return *messages* with a result behind every call, and with results that belong to none as text."""
        made: list[Any] = []
        waiting: dict[str, str] = {}
        for message in messages:
            call_id = self.answered(message)
            if call_id is not None and waiting.pop(call_id, None) is not None:
                made.append(message)
                continue
            made += self._missing(waiting)
            made.append(message if call_id is None else self.text(message))
            waiting = dict(self.calls(message))
        return made + self._missing(waiting)

    def _missing(self, waiting: Mapping[str, str]) -> list[Any]:
        return [self.result(call_id, name, UNANSWERED) for call_id, name in waiting.items()]
