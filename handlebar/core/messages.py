"""Messages to and from the language model, and what is recorded of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from attrs import Attribute, field, frozen

from handlebar._plumbing import safe_json
from handlebar.core.schema import checks
from handlebar.core.schema.agents import ModelInfo
from handlebar.errors import ConfigError

Role = Literal["system", "developer", "user", "assistant", "tool"]
"""Who speaks."""

EVENT_KINDS: Mapping[str, str] = {
    "system": "observation",
    "developer": "observation",
    "user": "input",
    "assistant": "output",
    "tool": "tool_result",
}
"""What a message of each role is called in the audit trail."""

MAX_CONTENT_BYTES = 256 * 1024
"""Longer content is cut in an event."""

_count = checks.optional(checks.whole_number(at_least=0))


def _content(instance: Any, attribute: Attribute[Any], value: Any) -> None:
    """Allow text, or a list of parts."""
    good = isinstance(value, (list, tuple)) and all(isinstance(part, dict) for part in value)
    if not good and not isinstance(value, str):
        raise ConfigError(checks.where(instance, attribute), _kind(value), "a str or a list of dicts")


def _as_parts(content: Any) -> Any:
    """Turn text into a text part; leave the rest to the check."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _as_model(model: Any) -> Any:
    """Turn a model's name into a model; leave the rest to the check."""
    return ModelInfo(model) if isinstance(model, str) else model


def _kind(value: Any) -> str:
    """Name the class only: an error message is no place for what was said."""
    return f"(a {type(value).__name__})"


@frozen
class TokenUsage:
    """The tokens that one model call read and wrote, as far as they are known."""

    input_tokens: int | None = field(default=None, validator=_count)
    output_tokens: int | None = field(default=None, validator=_count)


@frozen
class LLMMessage:
    """
    One message to the model.

    Attributes:
        role: `system`, `developer`, `user`, `assistant` or `tool`.

        content: Text, or a list of parts such as `{"type": "text", "text": "…"}`; kept as it was given.
    """

    role: Role = field(validator=checks.one_of(tuple(EVENT_KINDS)))
    content: str | list[Any] | tuple[Any, ...] = field(repr=False, validator=_content)


@frozen
class LLMResponse:
    """
    What came from the model.

    Attributes:
        content: The parts, such as `{"type": "text", "text": "…"}`; a str becomes one text part.

        model: The model, or its name.

        output_text: The text in one piece; filled in by `after_llm`.

        usage: The tokens used; only then is there an `llm.result` event.

        duration_ms: How long the call took, in milliseconds.
    """

    content: list[Any] | tuple[Any, ...] = field(
        repr=False,
        converter=_as_parts,
        validator=_content,
    )
    model: ModelInfo = field(
        converter=_as_model,
        validator=checks.instance_of(ModelInfo, "a ModelInfo or a model's name"),
    )
    output_text: str | None = field(default=None, repr=False, validator=checks.optional(checks.text))
    usage: TokenUsage | None = field(
        default=None, validator=checks.optional(checks.instance_of(TokenUsage, "a TokenUsage"))
    )
    duration_ms: float | None = field(default=None, validator=checks.optional(checks.number(at_least=0)))


def as_message(message: LLMMessage | Mapping[str, Any]) -> LLMMessage:
    """
    Return *message* as an LLMMessage, where it is a dict with `role` and `content`, as model APIs take it.

    Raises:
        ConfigError: It is neither, or its role or content is not allowed.
    """
    if isinstance(message, LLMMessage):
        return message
    if not isinstance(message, Mapping):
        raise ConfigError("messages", _kind(message), "LLMMessage objects, or dicts with role and content")
    # Model APIs leave the content out, or empty, where the assistant only calls tools.
    content = message.get("content")
    return LLMMessage(message.get("role"), "" if content is None else content)  # type: ignore[arg-type]  # checked there


def derive_output_text(response: LLMResponse) -> str:
    """Return the text parts of *response* joined; empty where there are none."""
    return "".join(part["text"] for part in response.content if _is_text(part))


def event_kind(role: str) -> str:
    """Return the kind of the event that records a message of *role*."""
    return EVENT_KINDS.get(role, "observation")


def event_text(content: object) -> str:
    """Return what is recorded as the *content* of a message: text as it is, all else as JSON."""
    return content if isinstance(content, str) else safe_json.encode(content)


def bounded(text: str) -> tuple[str, bool]:
    """Return *text*, cut to what an event may hold, and whether something was cut off."""
    if len(text) * 4 <= MAX_CONTENT_BYTES:  # a character takes four bytes at most
        return text, False
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= MAX_CONTENT_BYTES:
        return text, False
    return encoded[:MAX_CONTENT_BYTES].decode("utf-8", "ignore"), True


def _is_text(part: Mapping[str, Any]) -> bool:
    return part.get("type") == "text" and isinstance(part.get("text"), str)
