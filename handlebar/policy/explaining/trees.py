"""The tree of a condition, walked with every step told."""

from __future__ import annotations

from collections.abc import Sequence

from handlebar.core.schema.rules import AndCondition, NotCondition, OrCondition, RuleCondition
from handlebar.core.schema.traces import ConditionTrace, TraceAnswer
from handlebar.policy.answers import Answer, Missing
from handlebar.policy.conditions import compiled_condition
from handlebar.policy.explaining.findings import found
from handlebar.policy.explaining.noting import NotingFacts
from handlebar.policy.explaining.phrases import asked
from handlebar.policy.facts import Call, Facts

Traced = tuple[Answer, ConditionTrace]


def traced(condition: RuleCondition, call: Call, facts: Facts) -> Traced:
    """Return what *condition* says of *call*, as its compiled test would, and how that came about."""
    if isinstance(condition, AndCondition):
        return _searched(condition, condition.all, call, facts, decisive=False)
    if isinstance(condition, OrCondition):
        return _searched(condition, condition.any, call, facts, decisive=True)
    if isinstance(condition, NotCondition):
        return _negated(condition, call, facts)
    noting = NotingFacts(facts)
    answer = compiled_condition(condition)(call, noting)
    return answer, _trace(condition, answer, found(condition, call, noting))


def word_for(answer: Answer) -> TraceAnswer:
    """Return the word for *answer*."""
    if isinstance(answer, Missing):
        return "missing"
    return "matched" if answer else "notMatched"


def _searched(
    condition: RuleCondition, parts: Sequence[RuleCondition], call: Call, facts: Facts, *, decisive: bool
) -> Traced:
    """Walk *parts* up to the one whose answer decides for all of them."""
    traces: list[ConditionTrace] = []
    missing: Missing | None = None
    for number, part in enumerate(parts):
        answer, trace = traced(part, call, facts)
        traces.append(trace)
        if answer is decisive:
            traces += map(_skipped, parts[number + 1 :])
            return decisive, _trace(condition, decisive, f"part {number + 1} decides", traces)
        if missing is None and isinstance(answer, Missing):
            missing = answer
    if missing is None:
        return not decisive, _trace(condition, not decisive, "none holds" if decisive else "all hold", traces)
    return missing, _trace(condition, missing, "a value is missing", traces)


def _negated(condition: NotCondition, call: Call, facts: Facts) -> Traced:
    inner, trace = traced(condition.not_, call, facts)
    answer: Answer = inner if isinstance(inner, Missing) else not inner
    because = {"missing": "a value is missing", "matched": "it does not hold", "notMatched": "it holds"}
    return answer, _trace(condition, answer, because[word_for(answer)], [trace])


def _skipped(condition: RuleCondition) -> ConditionTrace:
    because = "an earlier part has decided"
    return ConditionTrace(kind=condition.kind, asks=asked(condition), answer="skipped", because=because)


def _trace(
    condition: RuleCondition, answer: Answer, because: str, parts: Sequence[ConditionTrace] = ()
) -> ConditionTrace:
    return ConditionTrace(
        kind=condition.kind, asks=asked(condition), answer=word_for(answer), because=because, parts=tuple(parts)
    )
