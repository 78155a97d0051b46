"""Rules that can never match, or never decide anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from handlebar._plumbing.logs import warn_once_a_minute
from handlebar.core.schema.rules import (
    AndCondition,
    ExecutionTimeCondition,
    MetricWindowCondition,
    NotCondition,
    OrCondition,
    Policy,
    Rule,
    RuleCondition,
    ToolArgCondition,
    ToolNameCondition,
)
from handlebar.policy.comparing import text_test
from handlebar.policy.loading.number_ranges import NumberRange
from handlebar.policy.loading.reading import Spot
from handlebar.policy.selecting import name_test

Placed = tuple[RuleCondition, Spot]
"""A condition, and where it stands."""

_Measure = tuple[object, str, float]
"""What is compared, how, and with which number."""


def note_contradictions(rule: Rule, spot: Spot) -> None:
    """Note why *rule*, which stands at *spot*, can never match, if so it is."""
    patterns = rule.selector.tool.name or ("*",)
    groups = list(_groups((rule.condition, spot.at("condition"))))
    _note_wrong_names(patterns, groups[0])
    for group in groups:
        _note_empty_ranges(group)
        if rule.selector.phase == "tool.before":
            _note_times(group)


def warn_of_hidden(policy: Policy, rules: Iterable[Spot]) -> None:
    """Log which rules of *policy* come after one that says the same."""
    placed = zip(policy.rules, rules, strict=True)
    first: dict[str, Rule] = {}
    for rule, spot in sorted(placed, key=lambda pair: (-pair[0].priority, pair[0].id)):
        if not rule.enabled:
            continue
        before = first.setdefault(_gist(rule), rule)
        if before is not rule:
            warn_once_a_minute(
                "policy: hidden rule",
                "%s: the rule %r never decides anything: %r comes first and says the same",
                spot.where(),
                rule.id,
                before.id,
            )


def _gist(rule: Rule) -> str:
    """Return a text that two rules share where one hides the other."""
    return repr((rule.selector, rule.condition, rule.effect.type, rule.on_missing, rule.mode))


def _groups(placed: Placed) -> Iterator[list[Placed]]:
    """Yield the conditions that must all hold at once: those of the top first, then those inside `or` and `not`."""
    together = list(_together(placed))
    yield together
    for one in together:
        for part in _branches(one):
            yield from _groups(part)


def _together(placed: Placed) -> Iterator[Placed]:
    """Yield what an `and`, and every `and` right inside it, holds."""
    condition, spot = placed
    if not isinstance(condition, AndCondition):
        yield placed
        return
    for index, part in enumerate(condition.all):
        yield from _together((part, spot.at("all", index)))


def _branches(placed: Placed) -> Iterator[Placed]:
    condition, spot = placed
    if isinstance(condition, OrCondition):
        yield from ((part, spot.at("any", index)) for index, part in enumerate(condition.any))
    elif isinstance(condition, NotCondition):
        yield condition.not_, spot.at("not")


def _note_times(group: list[Placed]) -> None:
    for condition, spot in group:
        if isinstance(condition, ExecutionTimeCondition):
            spot.note("before the call there is no executionTime; use the phase tool.after", "kind")


def _note_wrong_names(patterns: tuple[str, ...], group: list[Placed]) -> None:
    """Note toolName conditions that no name can meet which one of *patterns* matches."""
    placed = [(condition, spot) for condition, spot in group if isinstance(condition, ToolNameCondition)]
    conditions = [condition for condition, _ in placed]
    possible = _possible_names(patterns, conditions)
    if possible is None or any(_meets_all(name, patterns, conditions) for name in possible):
        return
    shown = ", ".join(repr(pattern) for pattern in patterns)
    placed[-1][1].note(f"no tool has such a name and is one of {shown} (the selector); make them agree", "value")


def _possible_names(patterns: tuple[str, ...], conditions: list[ToolNameCondition]) -> tuple[str, ...] | None:
    """Return the only names that can be meant, None where they cannot be counted."""
    if not conditions:
        return None
    exact = [names for names in (patterns, *map(_asked_names, conditions)) if not _has_glob(names)]
    return exact[0] if exact else None


def _asked_names(condition: ToolNameCondition) -> tuple[str, ...]:
    """Return the patterns that *condition* asks for; `*` where it asks otherwise."""
    if isinstance(condition.value, tuple):
        return condition.value
    return (condition.value,) if condition.op in ("eq", "glob") else ("*",)


def _has_glob(patterns: Iterable[str]) -> bool:
    return any("*" in pattern for pattern in patterns)


def _meets_all(name: str, patterns: tuple[str, ...], conditions: list[ToolNameCondition]) -> bool:
    folded = name.casefold()
    return name_test(patterns)(folded) and all(_meets(folded, condition) for condition in conditions)


def _meets(name: str, condition: ToolNameCondition) -> bool:
    if isinstance(condition.value, tuple):
        return name_test(condition.value)(name)
    return text_test(condition.op, condition.value.casefold())(name)


def _note_empty_ranges(group: list[Placed]) -> None:
    """Note what is asked to lie in a range that holds no number."""
    ranges: dict[object, NumberRange] = {}
    for condition, spot in group:
        for what, op, number in _measures(condition):
            asked = ranges.setdefault(what, NumberRange())
            was_empty = asked.is_empty()
            asked.narrow(op, number)
            if asked.is_empty() and not was_empty:
                spot.note("no number meets this and what else must hold with it; make the range wider")


def _measures(condition: RuleCondition) -> Iterator[_Measure]:
    if isinstance(condition, ToolArgCondition) and condition.type == "number":
        yield ("toolArg", condition.path), condition.op, condition.value  # type: ignore[misc]  # by its type
    elif isinstance(condition, ExecutionTimeCondition):
        yield from _times(condition)
    elif isinstance(condition, MetricWindowCondition):
        window = (condition.scope, condition.metric, condition.aggregate, condition.window_seconds)
        yield window, condition.op, condition.value


def _times(condition: ExecutionTimeCondition) -> Iterator[_Measure]:
    """Yield that no time is below nothing, and what *condition* asks for."""
    yield ("executionTime", condition.scope), "gte", 0
    yield ("executionTime", condition.scope), condition.op, condition.ms
