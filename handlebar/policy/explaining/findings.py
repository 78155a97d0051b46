"""What a condition has found in a call, in words; what it has asked the facts is noted elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from attrs import evolve

from handlebar.core.schema import rules
from handlebar.policy.arguments import ABSENT, reader, texts_in
from handlebar.policy.conditions import compiled_condition
from handlebar.policy.explaining.noting import NotingFacts
from handlebar.policy.facts import Call
from handlebar.policy.history import DURATION_KEY
from handlebar.policy.loading.wording import described, shown


def found(condition: rules.RuleCondition, call: Call, facts: NotingFacts) -> str:
    """Return what *condition* has found; *facts* have been asked what it asks for already."""
    if facts.notes:
        return "; ".join(facts.notes)
    return _FINDINGS[type(condition)](condition, call, facts)


def _listed(words: Iterable[str], *, none: str) -> str:
    return ", ".join(words) or none


def _tool_name(condition: Any, call: Call, facts: NotingFacts) -> str:
    return f"the tool is {shown(call.tool_name)}"


def _tool_tag(condition: Any, call: Call, facts: NotingFacts) -> str:
    return f"the tags are: {_listed(call.tool_tags, none='none')}"


def _tool_arg(condition: rules.ToolArgCondition, call: Call, facts: NotingFacts) -> str:
    if condition.path is None:
        texts = [shown(text) for text in texts_in(call.args)]
        more = f" and {len(texts) - 5} others" if len(texts) > 5 else ""
        return f"the texts are: {_listed(texts[:5], none='none')}{more}"
    value = reader(condition.path)(call.args)
    if value is ABSENT:
        return f"there is no argument {condition.path}"
    return f"{condition.path} is a {_container(value)}" if isinstance(value, (dict, list, tuple)) else described(value)


def _container(value: Any) -> str:
    return "mapping" if isinstance(value, dict) else "list"


def _actor_tag(condition: rules.EnduserTagCondition, call: Call, facts: NotingFacts) -> str:
    if call.actor is None:
        return "the call has no actor"
    value = (call.actor.metadata or {}).get(condition.tag)
    return f"the actor has no {condition.tag}" if value is None else f"{condition.tag} is {shown(value)}"


def _execution_time(condition: rules.ExecutionTimeCondition, call: Call, facts: NotingFacts) -> str:
    if call.phase != "tool.after":
        return "the call is not over yet"
    if DURATION_KEY not in call.metrics:
        return "nobody said how long the call took"
    return f"the call took {call.metrics[DURATION_KEY]:g} ms"


def _time_gate(condition: rules.TimeGateCondition, call: Call, facts: NotingFacts) -> str:
    zone = condition.timezone
    metadata = (call.actor.metadata if call.actor else None) or {}
    own = metadata.get(zone.tag or "") if zone.source == "enduserTag" else None
    fallback = zone.tz if zone.source == "static" else (zone.tz or "UTC") if zone.fallback else None
    name = own or fallback
    if name is None:
        return "the actor has no time zone"
    try:
        return f"there it is {call.now.astimezone(ZoneInfo(name)):%a %H:%M}".lower()
    except (KeyError, ValueError, OSError):  # unknown; not the form of a name; a folder of zones
        return f"{shown(name)} is no time zone"


def _subject(condition: Any, call: Call, facts: NotingFacts) -> str:
    systems = (
        f"{each.subject_type} ({each.id_system})" if each.id_system else each.subject_type for each in call.subjects
    )
    return f"the subjects are: {_listed(systems, none='none')}"


def _signal(condition: Any, call: Call, facts: NotingFacts) -> str:
    return "an argument of the signal is not in the call"


def _sensitive(condition: rules.SensitiveDataCondition, call: Call, facts: NotingFacts) -> str:
    alone = {each.detector: evolve(condition, detectors=(each,)) for each in condition.detectors}
    held = [name for name, single in alone.items() if compiled_condition(single)(call, facts) is True]
    return f"found: {_listed(held, none='nothing')}"


_FINDINGS: Mapping[type, Callable[[Any, Call, NotingFacts], str]] = {
    rules.ToolNameCondition: _tool_name,
    rules.ToolTagCondition: _tool_tag,
    rules.ToolArgCondition: _tool_arg,
    rules.EnduserTagCondition: _actor_tag,
    rules.ExecutionTimeCondition: _execution_time,
    rules.TimeGateCondition: _time_gate,
    rules.RequireSubjectCondition: _subject,
    rules.SignalCondition: _signal,
    rules.SensitiveDataCondition: _sensitive,
}
