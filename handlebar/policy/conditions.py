"""From a rule's condition to a test that answers it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from handlebar.core.schema.rules import (
    AndCondition,
    CustomCondition,
    EnduserTagCondition,
    ExecutionTimeCondition,
    MaxCallsCondition,
    MetricWindowCondition,
    NotCondition,
    OrCondition,
    RequireSubjectCondition,
    RuleCondition,
    SensitiveDataCondition,
    SequenceCondition,
    SignalCondition,
    TimeGateCondition,
    ToolArgCondition,
    ToolNameCondition,
    ToolTagCondition,
)
from handlebar.policy.answers import Test, all_of, any_of, asking, negated, sure
from handlebar.policy.arguments import argument_test
from handlebar.policy.comparing import text_test
from handlebar.policy.facts import Call
from handlebar.policy.history import count_test, execution_time_test, metric_test, sequence_test
from handlebar.policy.selecting import folded, name_test, tags_test
from handlebar.policy.sensitive_data import sensitive_data_test
from handlebar.policy.signals import signal_test
from handlebar.policy.time_gate import time_gate_test

_UNTRUE = frozenset(("", "0", "false"))


def compiled_condition(condition: RuleCondition) -> Test:
    """Compile *condition*; whatever can be worked out without a call is worked out here."""
    return _COMPILERS[type(condition)](condition)


def _tool_name_test(condition: ToolNameCondition) -> Test:
    if isinstance(condition.value, str):
        test = text_test(condition.op, condition.value.casefold())
    else:
        test = name_test(condition.value)
    return sure(lambda call: test(call.tool_name.casefold()))


def _tool_tag_test(condition: ToolTagCondition) -> Test:
    tags = condition.tags if condition.tag is None else (condition.tag,)
    test = tags_test(condition.op, tags)
    return sure(lambda call: test(folded(call.tool_tags)))


def _actor_tag_test(condition: EnduserTagCondition) -> Test:
    test = _actor_value_test(condition)
    tag = condition.tag

    def holds(call: Call) -> bool:
        metadata = call.actor.metadata if call.actor else None
        return metadata is not None and tag in metadata and test(metadata[tag])

    return sure(holds)


def _actor_value_test(condition: EnduserTagCondition) -> Callable[[str], bool]:
    if condition.op == "has":
        return lambda value: value not in _UNTRUE
    values = (condition.value,) if condition.op == "hasValue" else condition.values or ()
    return frozenset(values).__contains__


def _subject_test(condition: RequireSubjectCondition) -> Test:
    wanted, system = condition.subject_type, condition.id_system
    return sure(
        lambda call: any(
            subject.subject_type == wanted and system in (None, subject.id_system) for subject in call.subjects
        )
    )


def _custom_test(condition: CustomCondition) -> Test:
    return asking(lambda call, facts: facts.custom(condition.name, condition.args, call))


def _all_test(condition: AndCondition) -> Test:
    return all_of(tuple(compiled_condition(part) for part in condition.all))


def _any_test(condition: OrCondition) -> Test:
    return any_of(tuple(compiled_condition(part) for part in condition.any))


def _not_test(condition: NotCondition) -> Test:
    return negated(compiled_condition(condition.not_))


_COMPILERS: Mapping[type, Callable[[Any], Test]] = {
    ToolNameCondition: _tool_name_test,
    ToolTagCondition: _tool_tag_test,
    ToolArgCondition: argument_test,
    EnduserTagCondition: _actor_tag_test,
    ExecutionTimeCondition: execution_time_test,
    SequenceCondition: sequence_test,
    MaxCallsCondition: count_test,
    MetricWindowCondition: metric_test,
    TimeGateCondition: time_gate_test,
    RequireSubjectCondition: _subject_test,
    SignalCondition: signal_test,
    CustomCondition: _custom_test,
    SensitiveDataCondition: sensitive_data_test,
    AndCondition: _all_test,
    OrCondition: _any_test,
    NotCondition: _not_test,
}
