"""
Between LangChain's messages and the turns of a packet.

A turn's content is text, which any agent reads. What text cannot hold (tool calls, parts, names) stands beside it, in
the turn's metadata under `langchain`, and is found again by `as_messages`. It comes from somebody else then: it counts
only where it agrees with the text, and makes a message of a conversation, never a command to LangGraph.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from handlebar._plumbing import safe_json
from handlebar.handoff.integrations.contents import ROLES, text_of
from handlebar.handoff.integrations.tool_results import ToolResults
from handlebar.handoff.models import ContextEntry
from handlebar.handoff.run_link import TOOL_OUTPUT

BESIDE = "langchain"
"""The entry of a turn's metadata that holds what text cannot."""

_TYPES = {"user": "human", "human": "human", "agent": "ai", "system": "system"}
_KEPT = ("additional_kwargs", "name", "id", "tool_calls", "invalid_tool_calls", "tool_call_id", "status", "role")


def as_turns(context: Any) -> list[dict[str, Any]]:
    """
    Return the turns of a conversation, in whatever form LangChain's users have one; empty where it is none.

    Args:
        context: Messages, or chunks of them; dicts with `role` or `type`; pairs; a text; a prompt; an agent's state,
            or anything else that has `messages`.
    """
    return [_turn(each) for each in _joined(_items(context))]


def as_messages(turns: Iterable[ContextEntry]) -> list[Any]:
    """Return *turns* as messages of LangChain; each tool call is followed by a result, as models demand it."""
    return _RESULTS.repaired([_message(each) for each in turns])


def _items(context: Any) -> list[Any]:
    if isinstance(context, Mapping) and "messages" in context:
        return _items(context["messages"])
    if hasattr(context, "to_messages"):  # a prompt
        return list(context.to_messages())
    if isinstance(context, (str, Mapping)) or _is_message(context):
        return [context]
    if hasattr(context, "messages"):
        return _items(context.messages)
    if isinstance(context, tuple) and len(context) == 2 and all(isinstance(part, str) for part in context):
        return [context]
    return list(context) if isinstance(context, Iterable) else []


def _is_message(value: Any) -> bool:
    return hasattr(value, "type") and hasattr(value, "content")


def _joined(items: Iterable[Any]) -> list[Any]:
    """Put chunks of one message together."""
    found: list[Any] = []
    for item in items:
        if found and _is_chunk(item) and type(item) is type(found[-1]) and _same(found[-1].id, item.id):
            found[-1] = found[-1] + item
        else:
            found.append(item)
    return found


def _is_chunk(item: Any) -> bool:
    return _is_message(item) and str(item.type).endswith("Chunk")


def _same(before: str | None, after: str | None) -> bool:
    return before is None or after is None or before == after


def _turn(item: Any) -> dict[str, Any]:
    if isinstance(item, Mapping) and _is_turn(item):
        return {key: item[key] for key in ("role", "content", "timestamp", "metadata") if item.get(key) is not None}
    message = item if _is_message(item) else _converted(item)
    if message is not None:
        return _turn_of(message)
    return {"role": "system", "content": text_of(item.get("content", item) if isinstance(item, Mapping) else item)}


def _is_turn(item: Mapping[Any, Any]) -> bool:
    """Whether *item* is what a packet holds already."""
    return item.get("role") in _TYPES and isinstance(item.get("content"), str) and "tool_calls" not in item


def _converted(item: Any) -> Any:
    """Return a dict, a pair or a text as a message; None where LangChain knows no such thing."""
    from langchain_core.messages import convert_to_messages

    if isinstance(item, Mapping) and "role" not in item and "type" in item:
        item = {**item, "role": item["type"]}
    if isinstance(item, Mapping):
        item = {**item, "role": "assistant" if item.get("role") == "agent" else item.get("role")}
    try:
        return convert_to_messages([item])[0]
    except Exception:  # it names no common class for what it does not understand
        return None


def _turn_of(message: Any) -> dict[str, Any]:
    kind = _kind(message)
    role = ROLES.get(str(getattr(message, "role", "")) if kind == "chat" else kind, "system")
    beside = {"type": kind, **{name: value for name in _KEPT if (value := getattr(message, name, None))}}
    told = _told(message)
    if message.content != told:
        beside["content"] = message.content
    return {"role": role, "content": told, "metadata": {BESIDE: safe_json.plain(beside)}}


def _kind(message: Any) -> str:
    return str(message.type).removesuffix("MessageChunk").lower()


def _told(message: Any) -> str:
    calls = getattr(message, "tool_calls", None) or ()
    return text_of(message.content, [(call["name"], call["args"]) for call in calls])


def _message(turn: ContextEntry) -> Any:
    beside = (turn.metadata or {}).get(BESIDE)
    made = _remade(turn, beside) if isinstance(beside, Mapping) else None
    return _plain(turn) if made is None else made


def _remade(turn: ContextEntry, beside: Mapping[str, Any]) -> Any:
    """Return the message that the turn was; None where that cannot be, or is not what the text says."""
    from langchain_core.messages import messages_from_dict

    kind = beside.get("type")
    role = str(beside.get("role") if kind == "chat" else kind)
    if kind not in ("human", "ai", "system", "tool", "function", "chat") or ROLES.get(role, "system") != turn.role:
        return None
    fields = {name: beside[name] for name in (*_KEPT, "content") if name in beside}
    try:
        (made,) = messages_from_dict([{"type": kind, "data": {"content": turn.content, **fields}}])
        return made if _told(made) == turn.content else None
    except Exception:  # anybody may have written this; what is wrong with it is LangChain's to find, in any way
        return None


def _plain(turn: ContextEntry) -> Any:
    from langchain_core.messages import convert_to_messages

    return convert_to_messages([(_TYPES[turn.role], turn.content)])[0]


def _calls(message: Any) -> dict[str, str]:
    return {call["id"]: call["name"] for call in getattr(message, "tool_calls", ()) if call["id"]}


def _answered(message: Any) -> str | None:
    if _kind(message) not in ("tool", "function"):
        return None
    return getattr(message, "tool_call_id", "")


def _result(call_id: str, name: str, text: str) -> Any:
    from langchain_core.messages import ToolMessage

    return ToolMessage(text, tool_call_id=call_id, name=name)


def _text(message: Any) -> Any:
    from langchain_core.messages import HumanMessage

    return HumanMessage(f"{TOOL_OUTPUT}{text_of(message.content)}")


_RESULTS = ToolResults(calls=_calls, answered=_answered, result=_result, text=_text)
