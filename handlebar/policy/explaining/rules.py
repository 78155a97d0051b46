"""What all rules say of one call, those too that are not for it, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from attrs import frozen

from handlebar.core.schema.rules import Effect, Policy, Rule
from handlebar.core.schema.traces import RuleTrace
from handlebar.policy.answers import Answer, Missing
from handlebar.policy.asking_once import AskedOnce
from handlebar.policy.engine import Engine, Outcome, compile_policies, in_order
from handlebar.policy.explaining.trees import traced, word_for
from handlebar.policy.facts import Call, Facts
from handlebar.policy.ruling import effect_if_missing, is_in_shadow
from handlebar.policy.selecting import folded, pattern_test, selects_agent


@frozen
class Explanation:
    """
    What the rules say of one call, and why.

    Attributes:
        outcome: The same that the engine gives without explaining.

        rules: Each rule in order, those too that are not for such a call.
    """

    outcome: Outcome
    rules: tuple[RuleTrace, ...]


def explain(policies: Sequence[Policy], call: Call, facts: Facts, *, engine: Engine | None = None) -> Explanation:
    """
    Return what *policies* say of *call*, as an engine of theirs would, and how that came about.

    Args:
        policies: The policies.

        call: The call.

        facts: The facts; each question is asked once.

        engine: The engine of the *policies*, where they have been compiled for the call's agent already.
    """
    asked = AskedOnce(facts)
    engine = engine or compile_policies(policies, agent_slug=call.agent_slug, agent_tags=call.agent_tags)
    pairs = in_order((rule, policy) for policy in policies for rule in policy.rules)
    return Explanation(engine.evaluate(call, asked), tuple(_explained(*pair, call, asked) for pair in pairs))


def _explained(rule: Rule, policy: Policy, call: Call, facts: Facts) -> RuleTrace:
    enforced = not is_in_shadow(rule, policy)
    named: dict[str, Any] = {"rule_id": rule.id, "rule_name": rule.name, "policy_id": policy.id}
    objection = next(_objections(rule, policy, call), None)
    if objection is not None:
        return RuleTrace(**named, answer="skipped", because=objection, enforced=enforced)
    answer, tree = traced(rule.condition, call, facts)
    effect, because = _said(rule, policy, answer)
    return RuleTrace(
        **named, answer=word_for(answer), because=because, effect=effect, enforced=enforced, condition=tree
    )


def _objections(rule: Rule, policy: Policy, call: Call) -> Iterator[str]:
    """Yield why *rule* is not for *call*."""
    if not policy.enabled:
        yield "its policy is disabled"
    if not selects_agent(policy.agent_selector, slug=call.agent_slug, tags=call.agent_tags):
        yield "its policy is for other agents"
    if not rule.enabled:
        yield "it is disabled"
    if rule.selector.phase != call.phase:
        yield f"it is asked at {rule.selector.phase}"
    if not pattern_test(rule.selector.tool)(call.tool_name.casefold(), folded(call.tool_tags)):
        yield "it is about other tools"


def _said(rule: Rule, policy: Policy, answer: Answer) -> tuple[Effect | None, str]:
    """Return what *rule* wants done, and why."""
    if isinstance(answer, Missing):
        effect = answer.on_missing or effect_if_missing(rule, policy)
        return effect, f"a value is missing; where that is so it says {effect}"
    return (rule.effect.type, "its condition holds") if answer else (None, "its condition does not hold")
