"""Readers of the conditions on the past: executionTime, sequence, maxCalls, metricWindow."""

from __future__ import annotations

from typing import Any

from handlebar.core.schema import rules
from handlebar.core.schema.metrics import INBUILT_KEYS, is_custom_key
from handlebar.policy.loading.condition_parts import COMPARISONS, ON_MISSING, READ_ALREADY, TEXTS, checked, condition
from handlebar.policy.loading.reading import (
    Key,
    Reader,
    Spot,
    choice,
    list_of,
    mapping_of,
    maybe,
    needed,
    number,
    record,
    text,
    whole_number,
    word,
)

_SECONDS = number(above=0)

execution_time = condition(
    rules.ExecutionTimeCondition,
    {
        "scope": needed(word(("tool", "total"))),
        "op": needed(word(COMPARISONS)),
        "ms": needed(number(at_least=0)),
    },
)

_BY_NAME = {"by": READ_ALREADY, "patterns": TEXTS}
_BY_TAG = {"by": READ_ALREADY, "tags": TEXTS}
_OP = {"op": maybe(word(("anyOf", "allOf")))}

_counted = choice(
    "by",
    {"toolName": record(rules.ToolSelector, _BY_NAME), "toolTag": record(rules.ToolSelector, _BY_TAG)},
)
_called = choice(
    "by",
    {
        "toolName": record(rules.ToolSelector, _BY_NAME),
        "toolTag": record(rules.ToolSelector, {**_BY_TAG, **_OP}),
    },
)


def _entry(spot: Spot) -> Any:
    """Read an entry of a sequence: a glob, or a selector in full."""
    if isinstance(spot.value, str):
        return rules.ToolSelector(by="toolName", patterns=(text()(spot),))
    return _called(spot)


_demands = condition(
    rules.SequenceCondition,
    {"mustHaveCalled": maybe(list_of(_entry)), "mustNotHaveCalled": maybe(list_of(_entry))},
)


def sequence(spot: Spot) -> Any:
    """Read a sequence, which has to demand something."""
    made = _demands(spot)
    if made.must_have_called is None and made.must_not_have_called is None:
        raise spot.problem("the sequence demands nothing; give it mustHaveCalled, mustNotHaveCalled or both")
    return made


max_calls = condition(
    rules.MaxCallsCondition,
    {
        "selector": needed(_counted),
        "max": needed(whole_number(at_least=0)),
        "windowSeconds": maybe(_SECONDS),
        "per": maybe(word(("agent", "agent_user"))),
        "tagFilter": maybe(mapping_of(text(least=0), least=1)),
    },
)

_own_key = checked(
    checked(text(), lambda key: key not in INBUILT_KEYS, "is a built-in metric; use kind inbuilt or another key"),
    is_custom_key,
    "is no key of a metric; expected 1 to 64 letters, digits and '_'",
)
_metric = choice(
    "kind",
    {
        "inbuilt": record(rules.MetricRef, {"kind": READ_ALREADY, "key": needed(word(sorted(INBUILT_KEYS)))}),
        "custom": record(rules.MetricRef, {"kind": READ_ALREADY, "key": needed(_own_key)}),
    },
)


def _metric_within(window: Key) -> Reader:
    keys = {
        "scope": READ_ALREADY,
        "metric": needed(_metric),
        "aggregate": needed(word(("sum", "avg", "max", "min", "count"))),
        "windowSeconds": window,
        "op": needed(word(COMPARISONS)),
        "value": needed(number()),
        "onMissing": ON_MISSING,
    }
    return condition(rules.MetricWindowCondition, keys)


metric_window = choice(
    "scope",
    {
        "run": _metric_within(maybe(_SECONDS)),
        "agent": _metric_within(needed(_SECONDS)),
        "agent_user": _metric_within(needed(_SECONDS)),
    },
)
