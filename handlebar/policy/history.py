"""Conditions on what happened before: calls, counts, metrics and times."""

from __future__ import annotations

from collections.abc import Sequence

from handlebar.core.schema.rules import (
    ExecutionTimeCondition,
    MaxCallsCondition,
    MetricWindowCondition,
    SequenceCondition,
    ToolSelector,
)
from handlebar.policy.answers import Test, asking, sure
from handlebar.policy.comparing import number_test
from handlebar.policy.facts import Call, CountQuery, Facts, MetricQuery, PastCall
from handlebar.policy.selecting import ToolMatch

DURATION_KEY = "duration_ms"


def sequence_test(condition: SequenceCondition) -> Test:
    """Compile a demand on the run's past calls; the condition is met where they break it."""
    needed = _matches(condition.must_have_called)
    barred = _matches(condition.must_not_have_called)

    def is_broken(call: Call, facts: Facts) -> bool:
        past = facts.past_calls()
        return any(not _was_called(each, past) for each in needed) or any(_was_called(each, past) for each in barred)

    return asking(is_broken)


def count_test(condition: MaxCallsCondition) -> Test:
    """Compile a limit on the number of calls."""
    query = CountQuery(
        scope=_count_scope(condition),
        calls=ToolMatch(condition.selector),
        window_seconds=condition.window_seconds,
        run_tags=condition.tag_filter or {},
        enough=condition.max,
    )
    return asking(lambda call, facts: facts.count_calls(query) >= condition.max)


def metric_test(condition: MetricWindowCondition) -> Test:
    """Compile a limit on a metric."""
    query = MetricQuery(
        scope=condition.scope,
        key=condition.metric.key,
        aggregate=condition.aggregate,
        window_seconds=condition.window_seconds,
    )
    test = number_test(condition.op, condition.value)
    return asking(lambda call, facts: test(facts.metric(query)), on_missing=condition.on_missing)


def execution_time_test(condition: ExecutionTimeCondition) -> Test:
    """Compile a condition on how long this call, or the run's tools in all, took; never met before a call."""
    test = number_test(condition.op, condition.ms)
    if condition.scope == "tool":
        return sure(lambda call: _is_over(call) and DURATION_KEY in call.metrics and test(_duration(call)))
    return asking(lambda call, facts: _is_over(call) and test(facts.run_tool_time_ms()))


def _matches(selectors: Sequence[ToolSelector] | None) -> tuple[ToolMatch, ...]:
    return tuple(ToolMatch(selector) for selector in selectors or ())


def _was_called(wanted: ToolMatch, past: Sequence[PastCall]) -> bool:
    return any(wanted.matches(each.tool_name, each.tool_tags) for each in past)


def _count_scope(condition: MaxCallsCondition) -> str:
    if condition.per is not None:
        return condition.per
    return "run" if condition.window_seconds is None else "agent"


def _is_over(call: Call) -> bool:
    return call.phase == "tool.after"


def _duration(call: Call) -> float:
    return call.metrics[DURATION_KEY]
