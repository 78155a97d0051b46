"""Messages as turns of a packet: who says them, and their content as text, which any agent or person reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from handlebar._plumbing import safe_json

ROLES = {"human": "user", "user": "user", "ai": "agent", "assistant": "agent", "agent": "agent"}
"""What a packet calls whom frameworks call so; whatever else they name is the system."""


def text_of(content: Any, calls: Iterable[tuple[str, Any]] = ()) -> str:
    """
    Return *content*, text or a list of parts, as text; what is no text is named in brackets.

    Args:
        content: What a message holds.

        calls: The tool calls beside it, each with its arguments; told where there is no text.
    """
    parts = [content] if isinstance(content, str) else _parts(content)
    told = "\n".join(filter(None, parts))
    return told or "\n".join(f"[calls {name} with {safe_json.encode(args)}]" for name, args in calls)


def _parts(content: Any) -> list[str]:
    if content is None:
        return []
    return [_part(each) for each in content] if isinstance(content, (list, tuple)) else [safe_json.encode(content)]


def _part(part: Any) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, Mapping):
        return safe_json.encode(part)
    text, kind = part.get("text"), part.get("type")
    if isinstance(text, str):
        return text
    # Models give their tool calls among the parts of the content, and once more beside it.
    return "" if kind in ("tool_use", "tool_call", "function_call") else f"[{kind or 'part'}]"
