"""How each kind of condition is read."""

from __future__ import annotations

from collections.abc import Mapping

from handlebar.core.schema import rules
from handlebar.policy.loading import call_conditions, host_conditions, past_conditions, sensitive_readers
from handlebar.policy.loading.condition_parts import condition
from handlebar.policy.loading.reading import Reader, Spot, choice, list_of, needed


def read_condition(spot: Spot) -> rules.RuleCondition:
    """Read a condition of any kind."""
    made: rules.RuleCondition = _any_kind(spot)
    return made


READERS: Mapping[str, Reader] = {
    "toolName": call_conditions.tool_name,
    "toolTag": call_conditions.tool_tag,
    "toolArg": call_conditions.tool_arg,
    "enduserTag": call_conditions.enduser_tag,
    "executionTime": past_conditions.execution_time,
    "sequence": past_conditions.sequence,
    "maxCalls": past_conditions.max_calls,
    "metricWindow": past_conditions.metric_window,
    "timeGate": host_conditions.time_gate,
    "requireSubject": host_conditions.require_subject,
    "signal": host_conditions.signal,
    "custom": host_conditions.custom,
    "sensitiveData": sensitive_readers.sensitive_data,
    "and": condition(rules.AndCondition, {"all": needed(list_of(read_condition))}),
    "or": condition(rules.OrCondition, {"any": needed(list_of(read_condition))}),
    "not": condition(rules.NotCondition, {"not": needed(read_condition)}),
}
"""The kinds of conditions."""

_any_kind = choice("kind", READERS)
