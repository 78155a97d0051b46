"""The engine: from policies, a call and facts to an outcome."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import get_args

from attrs import frozen

from handlebar.core.plane import Phase
from handlebar.core.schema.governance import RuleEval, ShadowEffect
from handlebar.core.schema.rules import Effect, Policy, Rule
from handlebar.core.schema.traces import RuleTrace
from handlebar.policy import needs
from handlebar.policy.asking_once import AskedOnce
from handlebar.policy.facts import Call, Facts
from handlebar.policy.indexing import RuleIndex
from handlebar.policy.ruling import CompiledRule, Ruling, compiled_rule, effect_if_missing, is_in_shadow
from handlebar.policy.selecting import any_selector_test, selects_agent
from handlebar.policy.versions import content_of, digest_of


@frozen(kw_only=True)
class Outcome:
    """
    What the rules say of one call.

    Attributes:
        effect: The most severe effect of the enforced rules that matched.

        final_rule: The first rule, in order, with that effect; None where no enforced rule matched.

        evaluated: Every enabled rule whose selector met the call, in order, those in shadow too.

        shadow: What rules in shadow mode would have blocked, or asked a person about.

        trace: How that came about, rule by rule; None where that was not asked for.
    """

    effect: Effect = "allow"
    final_rule: Rule | None = None
    evaluated: tuple[RuleEval, ...] = ()
    shadow: tuple[ShadowEffect, ...] = ()
    trace: tuple[RuleTrace, ...] | None = None


_NOTHING_MET = Outcome()
_SEVERITY = attrgetter("severity")


class Engine:
    """
    Compiled policies of one agent: a pure function of the call and the facts.

    Made by `compile_policies`. Does not change, and is safe to share between threads.

    Attributes:
        version: The same for the same rules, another for others.

        rule_count: How many rules there are for this agent.

        metric_keys: The metrics that some rule asks about.

        needs_run_time: Whether some rule asks how long the run's tools have run.
    """

    version: str
    rule_count: int
    metric_keys: frozenset[str]
    needs_run_time: bool

    def __init__(self, pairs: Sequence[tuple[Rule, Policy]]) -> None:
        rules = [compiled_rule(rule, policy) for rule, policy in pairs]
        conditions = [rule.condition for rule, _ in pairs]
        self.version = _version(pairs)
        self.rule_count = len(rules)
        self.metric_keys = frozenset(key for each in conditions for key in needs.metric_keys(each))
        self.needs_run_time = any(needs.asks_run_time(each) for each in conditions)
        self._counts = any_selector_test(
            selector for each in conditions for selector in needs.calls_looked_back_for(each)
        )
        self._indexes = {phase: RuleIndex(_of_phase(rules, phase)) for phase in get_args(Phase)}

    def evaluate(self, call: Call, facts: Facts) -> Outcome:
        """
        Return what the rules say of *call*.

        Facts are asked only where a rule needs them, and each question once. An `UnavailableError` of theirs is a
        missing value; whatever else they raise is raised here.
        """
        candidates = self._indexes[call.phase].candidates(call.tool_name, call.tool_tags)
        if not candidates.rules:
            return _NOTHING_MET
        if candidates.asks:
            facts = AskedOnce(facts)
        return _combined([rule.rulings[rule.test(call, facts)] for rule in candidates.rules])

    def needs_past(self, phase: Phase, tool_name: str, tool_tags: Sequence[str]) -> bool:
        """Whether some rule for such a call asks about past calls, counts, metrics or times."""
        return self._indexes[phase].candidates(tool_name, tool_tags).asks_past

    def remembers(self, tool_name: str, tool_tags: Sequence[str]) -> bool:
        """Whether such a call, once allowed, counts for some rule later."""
        return self._counts(tool_name, tool_tags)


def compile_policies(policies: Sequence[Policy], *, agent_slug: str, agent_tags: Sequence[str] = ()) -> Engine:
    """
    Return the engine for one agent: the enabled rules of the enabled policies that select it.

    Raises:
        ValueError: A regex is none that RE2 takes. `load_policies` finds that earlier, with the place.
    """
    meant = [
        policy
        for policy in policies
        if policy.enabled and selects_agent(policy.agent_selector, slug=agent_slug, tags=agent_tags)
    ]
    return Engine(in_order((rule, policy) for policy in meant for rule in policy.rules if rule.enabled))


def in_order(pairs: Iterable[tuple[Rule, Policy]]) -> list[tuple[Rule, Policy]]:
    """Return rules, each with its policy, in the order in which they are asked."""
    return sorted(pairs, key=lambda pair: (-pair[0].priority, pair[0].id, pair[0].policy_id))


def _combined(rulings: Sequence[Ruling]) -> Outcome:
    # `max` returns the first of equals, which is the first in order.
    final = max(rulings, key=_SEVERITY)
    return Outcome(
        effect=final.effect,
        final_rule=final.rule,
        evaluated=tuple([ruling.evaluation for ruling in rulings]),
        shadow=tuple([ruling.shadow for ruling in rulings if ruling.shadow is not None]),
    )


def _of_phase(rules: Iterable[CompiledRule], phase: Phase) -> Iterator[CompiledRule]:
    return (each for each in rules if each.rule.selector.phase == phase)


def _version(pairs: Iterable[tuple[Rule, Policy]]) -> str:
    content = [
        [content_of(rule), is_in_shadow(rule, policy), effect_if_missing(rule, policy)] for rule, policy in pairs
    ]
    return digest_of(content)
