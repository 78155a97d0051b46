"""The Responses API's items, as messages of ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from handlebar.core.messages import LLMMessage

_ROLES = ("system", "developer", "user", "assistant")
_OF_THE_USER = ("message", "mcp_approval_response")


def message_of(item: Any) -> LLMMessage:
    """Return what an *item* of the input says."""
    if not isinstance(item, Mapping):
        return LLMMessage("user", str(item))
    content = item.get("content", item.get("output"))
    return LLMMessage(_role(item), content if isinstance(content, str) else [dict(item)])


def rewritten(item: Any, message: LLMMessage | None) -> Any:
    """Return *item* as its *message* has it after the redactors; None means that nothing has changed."""
    if message is None:
        return item
    if not isinstance(message.content, str):
        return message.content[0]
    return {**item, "content" if "content" in item else "output": message.content}


def parts_of(output: Iterable[Any]) -> list[dict[str, Any]]:
    """Return what the model said and wants; *output* are the items of its answer."""
    parts: list[dict[str, Any]] = []
    for item in output:
        if item.type == "function_call":
            wanted = {"toolName": item.name, "args": item.arguments}
            parts.append({"type": "tool_call", "toolCallId": item.call_id, **wanted})
        elif item.type == "message":
            parts += [{"type": "text", "text": getattr(part, "text", "") or ""} for part in item.content]
    return parts


def _role(item: Mapping[str, Any]) -> Any:
    """Return who says *item*: what has no role, and is no answer to the model, came from the model."""
    role, kind = item.get("role"), item.get("type") or "message"
    if role in _ROLES:
        return role
    if kind.endswith("_output"):
        return "tool"
    return "user" if kind in _OF_THE_USER else "assistant"
