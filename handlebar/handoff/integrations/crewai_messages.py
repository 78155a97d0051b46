"""
Between CrewAI's conversations and the turns of a packet.

A turn's content is text, which any agent reads; what text cannot hold stands beside it, in the turn's metadata under
`crewai`, and counts only where it agrees with the text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from handlebar._plumbing import safe_json
from handlebar.handoff.integrations.contents import ROLES, text_of
from handlebar.handoff.integrations.tool_results import ToolResults
from handlebar.handoff.models import ContextEntry
from handlebar.handoff.run_link import TOOL_OUTPUT

BESIDE = "crewai"
"""The entry of a turn's metadata that holds what text cannot."""

_WORDS = {"user": "user", "human": "user", "agent": "assistant", "system": "system"}
_KEPT = ("tool_calls", "tool_call_id", "name")


def as_turns(context: Any) -> list[dict[str, Any]]:
    """
    Return the turns of a conversation or of work that was done; empty where *context* is none.

    Args:
        context: Messages as dicts; a text, which an agent said; a task; the output of a task, an agent or a crew; or
            a list of any of these.
    """
    if isinstance(context, str):
        return [{"role": "agent", "content": context}] if context else []
    if isinstance(context, Mapping):
        return [_turn(context)]
    if hasattr(context, "tasks_output"):
        return as_turns(context.tasks_output)
    if hasattr(context, "raw"):
        return _output_turns(context)
    if hasattr(context, "description"):
        return _task_turns(context)
    return [turn for each in context for turn in _item_turns(each)] if isinstance(context, Iterable) else []


def as_messages(turns: Iterable[ContextEntry]) -> list[dict[str, Any]]:
    """Return *turns* as CrewAI's agents and models take messages."""
    return _RESULTS.repaired([_message(turn) for turn in turns])


def result_text(result: Any) -> str:
    """Return the text of a task's result, whatever it is."""
    raw = getattr(result, "raw", result)
    return raw if isinstance(raw, str) else str(raw)


def _item_turns(item: Any) -> list[dict[str, Any]]:
    known = isinstance(item, (str, Mapping)) or any(
        hasattr(item, name) for name in ("raw", "tasks_output", "description")
    )
    return as_turns(item) if known else [{"role": "agent", "content": str(item)}]


def _task_turns(task: Any) -> list[dict[str, Any]]:
    turns = [{"role": "system", "content": f"Task: {task.description}"}]
    expected = getattr(task, "expected_output", None)
    return [*turns, {"role": "system", "content": f"Expected output: {expected}"}] if expected else turns


def _output_turns(output: Any) -> list[dict[str, Any]]:
    """Return what was said for an output, without the instructions to the agent, and the output itself."""
    said = [_turn(each) for each in getattr(output, "messages", None) or () if each.get("role") != "system"]
    turns = said or (_task_turns(output) if hasattr(output, "description") else [])
    last = turns[-1]["content"] if turns else None
    return turns if last == output.raw else [*turns, {"role": "agent", "content": output.raw}]


def _turn(message: Mapping[str, Any]) -> dict[str, Any]:
    role = message.get("role") or message.get("type")
    content = message.get("content")
    told = _told(content, message)
    beside = {name: message[name] for name in _KEPT if message.get(name)}
    if content != told:
        beside["content"] = content
    turn = {"role": ROLES.get(str(role), "system"), "content": told, "timestamp": message.get("timestamp")}
    given = message.get("metadata")
    metadata = {
        **(given if isinstance(given, Mapping) else {}),
        **({BESIDE: {"role": role, **beside}} if beside else {}),
    }
    turn["metadata"] = safe_json.plain(metadata) if metadata else None
    return {key: value for key, value in turn.items() if value is not None}


def _told(content: Any, message: Mapping[str, Any]) -> str:
    calls = [each.get("function") for each in message.get("tool_calls") or () if isinstance(each, Mapping)]
    return text_of(content, [(str(call.get("name")), _args(call)) for call in calls if isinstance(call, Mapping)])


def _args(function: Mapping[str, Any]) -> Any:
    args = function.get("arguments")
    try:
        return json.loads(args) if isinstance(args, str) else args
    except ValueError:
        return args


def _message(turn: ContextEntry) -> dict[str, Any]:
    beside = (turn.metadata or {}).get(BESIDE)
    plain = {"role": _WORDS[turn.role], "content": turn.content}
    if not isinstance(beside, Mapping):
        return plain
    role = "tool" if beside.get("role") == "tool" and turn.role == "system" else plain["role"]
    made = {**plain, **{name: beside[name] for name in ("content", *_KEPT) if name in beside}, "role": role}
    return made if _told(made["content"], made) == turn.content else plain


def _calls(message: Mapping[str, Any]) -> dict[str, str]:
    calls = message.get("tool_calls") or ()
    return {str(call["id"]): str((call.get("function") or {}).get("name")) for call in calls if call.get("id")}


def _answered(message: Mapping[str, Any]) -> str | None:
    return str(message.get("tool_call_id", "")) if message["role"] == "tool" else None


def _result(call_id: str, name: str, text: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "name": name, "content": text}


def _text(message: Mapping[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": f"{TOOL_OUTPUT}{text_of(message['content'])}"}


_RESULTS = ToolResults(calls=_calls, answered=_answered, result=_result, text=_text)
