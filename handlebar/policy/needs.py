"""What a condition will ask the facts for, told before there is a call."""

from __future__ import annotations

from collections.abc import Iterator

from handlebar.core.schema.rules import (
    AndCondition,
    CustomCondition,
    ExecutionTimeCondition,
    MaxCallsCondition,
    MetricWindowCondition,
    NotCondition,
    OrCondition,
    RuleCondition,
    SequenceCondition,
    SignalCondition,
    ToolSelector,
)


def asks(condition: RuleCondition) -> bool:
    """Whether *condition* may put any question to the facts."""
    return asks_past(condition) or any(
        isinstance(leaf, (SignalCondition, CustomCondition)) for leaf in _leaves(condition)
    )


def asks_past(condition: RuleCondition) -> bool:
    """Whether *condition* may ask about past calls, counts, metrics or the run's time."""
    return asks_run_time(condition) or any(
        isinstance(leaf, (SequenceCondition, MaxCallsCondition, MetricWindowCondition)) for leaf in _leaves(condition)
    )


def asks_run_time(condition: RuleCondition) -> bool:
    """Whether *condition* may ask how long the run's tools have run."""
    return any(isinstance(leaf, ExecutionTimeCondition) and leaf.scope == "total" for leaf in _leaves(condition))


def metric_keys(condition: RuleCondition) -> Iterator[str]:
    """Yield the metrics that *condition* may ask about."""
    for leaf in _leaves(condition):
        if isinstance(leaf, MetricWindowCondition):
            yield leaf.metric.key


def calls_looked_back_for(condition: RuleCondition) -> Iterator[ToolSelector]:
    """Yield which calls *condition* counts, or looks for in the past."""
    for leaf in _leaves(condition):
        if isinstance(leaf, MaxCallsCondition):
            yield leaf.selector
        elif isinstance(leaf, SequenceCondition):
            yield from leaf.must_have_called or ()
            yield from leaf.must_not_have_called or ()


def _leaves(condition: RuleCondition) -> Iterator[RuleCondition]:
    """Yield what *condition* is made of; those that only join others are left out."""
    if isinstance(condition, (AndCondition, OrCondition)):
        for part in condition.all if isinstance(condition, AndCondition) else condition.any:
            yield from _leaves(part)
    elif isinstance(condition, NotCondition):
        yield from _leaves(condition.not_)
    else:
        yield condition
