"""
Redaction: text to and from the model is rewritten before anything is recorded.

A redactor is a callable, sync or async, from one str to one str. It is applied to every text in a message:
the content, or each string inside its parts, whose structure stays, the keys of objects included: a model's API would
stumble over others. Originals are never changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, Literal, TypeVar

from attrs import evolve, frozen

from handlebar._plumbing import logs, safe_json
from handlebar._plumbing.interrupts import is_interrupt
from handlebar._plumbing.time_limits import CallError, call_within, told
from handlebar.core.messages import LLMMessage, LLMResponse

T = TypeVar("T")

Level = Literal["none", "partial", "strict"]
"""How much was rewritten: nothing, something, or everything withheld."""

Redactor = Callable[[str], Any]
"""Returns what a text is to be replaced by, or an awaitable of it."""

WITHHELD = "[withheld: a redactor failed]"
"""What events show where a redactor failed."""

_STRUCTURE = frozenset(
    {"type", "id", "name", "role", "signature", "toolName", "toolUseId", "toolCallId"}
    | {"tool_name", "tool_use_id", "tool_call_id", "call_id", "media_type", "mime_type"}
)
"""The keys of a part whose text names things and says nothing; a model's API would stumble over a change."""


@frozen
class Redacted(Generic[T]):
    """
    What redaction has made of something.

    Attributes:
        value: The rewritten value; the original where the content is withheld.

        level: `none`, `partial`, or `strict`: a redactor failed, and events must not show *value*.
    """

    value: T
    level: Level = "none"


def _tell_nobody(reason: str) -> None:
    """Where nobody wants to know of failures."""


@frozen
class Redaction:
    """
    A client's redactors, applied in order; immutable, lives as long as the client.

    Attributes:
        on_failure: Told of each content that was withheld, in words that hold nothing of it.

        timeout_seconds: How long a redactor may take for one text; None for no limit.
    """

    redactors: tuple[Redactor, ...] = ()
    on_failure: Callable[[str], None] = _tell_nobody
    timeout_seconds: float | None = None

    def message(self, message: LLMMessage) -> Redacted[LLMMessage]:
        """Rewrite the content of *message*."""
        return self._redacted(message, self._message)

    def response(self, response: LLMResponse) -> Redacted[LLMResponse]:
        """Rewrite the parts of *response*, and its text."""
        return self._redacted(response, self._response)

    def _redacted(self, value: T, rewrite: Callable[[T], T]) -> Redacted[T]:
        if not self.redactors:
            return Redacted(value)
        try:
            rewritten = rewrite(value)
        except Exception as error:  # whatever a redactor does, its failure must not show what it was to hide
            if is_interrupt(error):
                raise
            self._failed(told(error))
            return Redacted(value, "strict")
        return Redacted(value) if rewritten is value else Redacted(rewritten, "partial")

    def _failed(self, reason: str) -> None:
        logs.warn_once_a_minute("redaction", "A redactor failed, so content is withheld from events: %s", reason)
        self.on_failure(reason)

    # Below, what has not changed is returned as the very object that came in: that tells `none` from
    # `partial`, and it leaves to the agent what it had.

    def _message(self, message: LLMMessage) -> LLMMessage:
        content = self._content(message.content)
        return message if content is message.content else evolve(message, content=content)

    def _response(self, response: LLMResponse) -> LLMResponse:
        content, text = self._content(response.content), self._leaves(response.output_text)
        if content is response.content and text is response.output_text:
            return response
        return evolve(response, content=content, output_text=text)

    def _content(self, content: Any) -> Any:
        """Rewrite the content of a message or of a part: text, or parts."""
        if not isinstance(content, (list, tuple)):
            return self._leaves(content)
        return _unless_same(content, [self._part(part) for part in content])

    def _part(self, part: Any) -> Any:
        if not isinstance(part, dict):
            return self._leaves(part)
        return _unless_same_dict(part, {key: self._field(key, value) for key, value in part.items()})

    def _field(self, key: str, value: Any) -> Any:
        if key in _STRUCTURE:
            return value
        return self._content(value) if key == "content" else self._leaves(value)

    def _leaves(self, value: Any) -> Any:
        """Rewrite each string in *value*."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, dict):
            return _unless_same_dict(value, {key: self._leaves(each) for key, each in value.items()})
        if isinstance(value, (list, tuple)):
            return _unless_same(value, [self._leaves(each) for each in value])
        return value if isinstance(value, (type(None), int, float)) else self._object(value)

    def _object(self, value: Any) -> Any:
        """Rewrite what JSON would show of an object; keep the object where nothing of that changes."""
        shown = safe_json.plain(value)
        rewritten = self._leaves(shown)
        return value if rewritten is shown else rewritten

    def _text(self, text: str) -> str:
        rewritten = text
        for redactor in self.redactors:
            rewritten = call_within(redactor, rewritten, timeout_seconds=self.timeout_seconds)
            if not isinstance(rewritten, str):
                raise CallError("returned no str")
        return text if rewritten == text else rewritten


def _unless_same(old: Sequence[Any], new: list[Any]) -> Any:
    """Return *new* where one of its items is not the very object that *old* has there, else *old*."""
    return new if any(a is not b for a, b in zip(old, new, strict=True)) else old


def _unless_same_dict(old: dict[Any, Any], new: dict[Any, Any]) -> dict[Any, Any]:
    return new if any(value is not old[key] for key, value in new.items()) else old
