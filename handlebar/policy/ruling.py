"""One rule, compiled: what it says of a call."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import frozen

from handlebar.core.schema.governance import RuleEval, ShadowEffect
from handlebar.core.schema.rules import Effect, Policy, Rule
from handlebar.policy import needs
from handlebar.policy.answers import Answer, Missing, Test
from handlebar.policy.conditions import compiled_condition
from handlebar.policy.selecting import exact_names, pattern_test


@frozen(kw_only=True)
class Ruling:
    """
    What a rule says of one call; a rule has only a few of them, all made beforehand.

    Attributes:
        effect: What is to be done.

        severity: How much that outranks; 0 where the rule enforces nothing.

        rule: The rule, where it enforces something.

        shadow: What would have been done, were the rule not in shadow mode.
    """

    effect: Effect = "allow"
    severity: int = 0
    rule: Rule | None = None
    evaluation: RuleEval
    shadow: ShadowEffect | None = None


@frozen(kw_only=True, eq=False)
class CompiledRule:
    """
    A rule, ready to be asked.

    Attributes:
        selects: Whether it is about a tool of that folded name, with those folded tags.

        names: The only folded names that it can be about; None where there is no telling.

        test: Its condition.

        rulings: What the rule says, by what its condition answers.

        asks: It may put questions to the facts.

        asks_past: It may ask them about past calls, counts, metrics or times.
    """

    rule: Rule
    selects: Callable[[str, frozenset[str]], bool]
    names: frozenset[str] | None
    test: Test
    rulings: Mapping[Answer, Ruling]
    asks: bool
    asks_past: bool


def compiled_rule(rule: Rule, policy: Policy) -> CompiledRule:
    """Compile *rule*, which belongs to *policy*."""
    return CompiledRule(
        rule=rule,
        selects=pattern_test(rule.selector.tool),
        names=exact_names(rule.selector.tool),
        test=compiled_condition(rule.condition),
        rulings=_rulings(rule, policy),
        asks=needs.asks(rule.condition),
        asks_past=needs.asks_past(rule.condition),
    )


def is_in_shadow(rule: Rule, policy: Policy) -> bool:
    """Whether *rule* is only reported: a policy in shadow mode is never enforced, whatever its rules say."""
    return "shadow" in (policy.mode, rule.mode)


def effect_if_missing(rule: Rule, policy: Policy) -> Effect:
    """Return the effect where a value is missing and the condition itself does not say what then."""
    return rule.on_missing or policy.on_missing_default or "block"


def _rulings(rule: Rule, policy: Policy) -> Mapping[Answer, Ruling]:
    make = _shadowed if is_in_shadow(rule, policy) else _enforced
    matched = {effect: make(rule, effect) for effect in _SEVERITY}
    return {
        False: Ruling(evaluation=_evaluation(rule, matched=False, violated=False)),
        True: matched[rule.effect.type],
        Missing(): matched[effect_if_missing(rule, policy)],
        **{Missing(effect): ruling for effect, ruling in matched.items()},
    }


def _enforced(rule: Rule, effect: Effect) -> Ruling:
    evaluation = _evaluation(rule, matched=True, violated=effect != "allow")
    return Ruling(effect=effect, severity=_SEVERITY[effect], rule=rule, evaluation=evaluation)


def _shadowed(rule: Rule, effect: Effect) -> Ruling:
    evaluation = _evaluation(rule, matched=True, violated=effect != "allow")
    return Ruling(evaluation=evaluation, shadow=_shadow(rule, effect))


def _shadow(rule: Rule, effect: Effect) -> ShadowEffect | None:
    if effect == "allow":
        return None
    reason = rule.effect.reason if rule.effect.type == effect else None
    message = reason or f'{_WOULD_HAVE[effect]} rule "{rule.name}"'
    return ShadowEffect(rule_id=rule.id, effect=effect, message=message)


def _evaluation(rule: Rule, *, matched: bool, violated: bool) -> RuleEval:
    return RuleEval(rule_id=rule.id, enabled=rule.enabled, matched=matched, violated=violated)


_SEVERITY: Mapping[Effect, int] = {"allow": 1, "hitl": 2, "block": 3}
_WOULD_HAVE: Mapping[Effect, str] = {
    "hitl": "Would have waited for approval under",
    "block": "Would have been blocked by",
}
