"""What a condition asks for, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from handlebar.core.schema import rules
from handlebar.policy.loading.wording import shown

_WINDOW_SCOPES = {"agent": "of the agent", "agent_user": "of the agent for this actor", "run": "of this run"}


def asked(condition: rules.RuleCondition) -> str:
    """Return what *condition* asks for."""
    return _PHRASES[type(condition)](condition)


def _joined(words: Iterable[str]) -> str:
    return ", ".join(words)


def _value(value: Any) -> str:
    return f"({_joined(map(shown, value))})" if isinstance(value, (tuple, list)) else shown(value)


def _tool_tag(condition: rules.ToolTagCondition) -> str:
    return f"the tool's tags, {condition.op}: {_joined(condition.tags or (condition.tag or '',))}"


def _tool_arg(condition: rules.ToolArgCondition) -> str:
    what = "any text in the arguments" if condition.path is None else f"argument {condition.path}"
    return f"{what} {condition.op}" if condition.type is None else f"{what} {condition.op} {_value(condition.value)}"


def _actor_tag(condition: rules.EnduserTagCondition) -> str:
    values = condition.values if condition.value is None else (condition.value,)
    wanted = f" {_value(values)}" if values else ""
    return f"the actor's {condition.tag}, {condition.op}{wanted}"


def _time(condition: rules.ExecutionTimeCondition) -> str:
    what = "this call's time" if condition.scope == "tool" else "the time of all tools of the run"
    return f"{what} {condition.op} {condition.ms:g} ms"


def _tools(selector: rules.ToolSelector) -> str:
    if selector.by == "toolName":
        return _joined(selector.patterns)
    return f"tools with {'all of the tags' if selector.op == 'allOf' else 'a tag of'} {_joined(selector.tags)}"


def _sequence(condition: rules.SequenceCondition) -> str:
    demands = [f"{_tools(each)} was not called before" for each in condition.must_have_called or ()]
    demands += [f"{_tools(each)} was called before" for each in condition.must_not_have_called or ()]
    return " or ".join(demands)


def _span(seconds: float | None) -> str:
    return "" if seconds is None else f" within {seconds:g} s"


def _max_calls(condition: rules.MaxCallsCondition) -> str:
    scope = condition.per or ("run" if condition.window_seconds is None else "agent")
    tags = condition.tag_filter
    runs = f", in runs with {_joined(f'{name}={value}' for name, value in tags.items())}" if tags else ""
    where = f"{_WINDOW_SCOPES[scope]}{_span(condition.window_seconds)}{runs}"
    return f"{condition.max} or more calls {where} of {_tools(condition.selector)}"


def _metric(condition: rules.MetricWindowCondition) -> str:
    where = f"{_WINDOW_SCOPES[condition.scope]}{_span(condition.window_seconds)}"
    return f"{condition.aggregate} of {condition.metric.key} {where} {condition.op} {condition.value:g}"


def _time_gate(condition: rules.TimeGateCondition) -> str:
    zone = condition.timezone
    where = zone.tz if zone.source == "static" else f"the actor's {zone.tag}"
    hours = " or ".join(f"{_joined(each.days)} {each.start}-{each.end}" for each in condition.windows)
    return f"now is {hours} in {where}"


def _subject(condition: rules.RequireSubjectCondition) -> str:
    system = f" of {condition.id_system}" if condition.id_system else ""
    return f"a subject of type {condition.subject_type}{system}"


def _sensitive(condition: rules.SensitiveDataCondition) -> str:
    where = "the arguments" if condition.path is None else f"argument {condition.path}"
    return f"{condition.op} in {where}: {_joined(each.detector for each in condition.detectors)}"


_PHRASES: Mapping[type, Callable[[Any], str]] = {
    rules.ToolNameCondition: lambda it: f"the tool's name {it.op} {_value(it.value)}",
    rules.ToolTagCondition: _tool_tag,
    rules.ToolArgCondition: _tool_arg,
    rules.EnduserTagCondition: _actor_tag,
    rules.ExecutionTimeCondition: _time,
    rules.SequenceCondition: _sequence,
    rules.MaxCallsCondition: _max_calls,
    rules.MetricWindowCondition: _metric,
    rules.TimeGateCondition: _time_gate,
    rules.RequireSubjectCondition: _subject,
    rules.SignalCondition: lambda it: f"signal {it.key} {it.op} {_value(it.value)}",
    rules.CustomCondition: lambda it: f"the application's function {it.name} says so",
    rules.SensitiveDataCondition: _sensitive,
    rules.AndCondition: lambda it: "all of these",
    rules.OrCondition: lambda it: "one of these",
    rules.NotCondition: lambda it: "this does not hold",
}
