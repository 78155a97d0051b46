"""One example: a call, what was before it, and what is expected to be decided."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import Factory, frozen

from handlebar.core.plane import Phase
from handlebar.core.schema.agents import Actor, AgentDescriptor
from handlebar.core.schema.rules import Effect, Policy
from handlebar.core.schema.subjects import SubjectRef
from handlebar.policy.explaining import Explanation, explain
from handlebar.policy.facts import Call, Facts
from handlebar.policy.remembering import Caller, Memory, RememberedFacts

_THIS_RUN = "this run"


@frozen(kw_only=True)
class Earlier:
    """
    A call that was allowed before the one that the example is about.

    Attributes:
        run: The name of its run; None for the run of the example.

        seconds_ago: How long before.
    """

    tool: str
    tags: tuple[str, ...] = ()
    run: str | None = None
    actor: str | None = None
    seconds_ago: float = 1.0
    metrics: Mapping[str, float] = Factory(dict)


@frozen(kw_only=True)
class Expectation:
    """
    What is expected; None of *rule* and *shadow* expects nothing in particular.

    Attributes:
        rule: Id or name of the rule that decides.

        shadow: Ids or names of the rules in shadow that would have done something.
    """

    effect: Effect
    rule: str | None = None
    shadow: tuple[str, ...] | None = None


@frozen(kw_only=True)
class Case:
    """
    An example.

    Attributes:
        where: File and line.

        at: When the call is made.

        signals: What the application's signals say, by key.

        functions: What the application's functions say, by name.

        expect: None where it is only to be explained.
    """

    name: str
    where: str
    agent: AgentDescriptor
    tool: str
    tags: tuple[str, ...] = ()
    args: Mapping[str, Any] = Factory(dict)
    phase: Phase = "tool.before"
    actor: Actor | None = None
    subjects: tuple[SubjectRef, ...] = ()
    metrics: Mapping[str, float] = Factory(dict)
    run_tags: Mapping[str, str] = Factory(dict)
    at: datetime
    past: tuple[Earlier, ...] = ()
    signals: Mapping[str, Any] = Factory(dict)
    functions: Mapping[str, bool] = Factory(dict)
    expect: Expectation | None = None

    def explain(self, policies: Sequence[Policy]) -> Explanation:
        """Return what *policies* say of it, and why."""
        return explain(policies, self._call(), self._facts())

    def _call(self) -> Call:
        return Call(
            phase=self.phase,
            agent_slug=self.agent.slug,
            agent_tags=self.agent.tags or (),
            tool_name=self.tool,
            tool_tags=self.tags,
            args=self.args,
            actor=self.actor,
            run_tags=self.run_tags,
            subjects=self.subjects,
            metrics=self.metrics,
            now=self.at,
        )

    def _facts(self) -> Facts:
        memory = Memory()
        for each in sorted(self.past, key=lambda earlier: -earlier.seconds_ago):
            caller = self._caller(each)
            memory.remember_call(caller, each.tool, each.tags)
            memory.remember_metrics(caller, each.metrics)
        return RememberedFacts(
            memory=memory,
            caller=self._caller(None),
            metrics=self.metrics,
            signals=self.signals,
            functions=self.functions,
        )

    def _caller(self, earlier: Earlier | None) -> Caller:
        """Return who makes the call, or has made an *earlier* one."""
        own = self.actor.external_id if self.actor else None
        return Caller(
            agent=self.agent.slug,
            run_id=(earlier.run if earlier else None) or _THIS_RUN,
            actor_id=(earlier.actor if earlier else None) or own,
            run_tags=self.run_tags,
            at=self.at.timestamp() - (earlier.seconds_ago if earlier else 0.0),
        )


@frozen
class Judged:
    """
    What came of an example.

    Attributes:
        differences: What was expected and what was found instead, in words; none where it is as expected.
    """

    case: Case
    explanation: Explanation
    differences: tuple[str, ...]


def judge(case: Case, policies: Sequence[Policy]) -> Judged:
    """Let *policies* decide *case*, and compare."""
    explanation = case.explain(policies)
    differences = () if case.expect is None else tuple(_differences(case.expect, explanation, policies))
    return Judged(case, explanation, differences)


def _differences(expected: Expectation, found: Explanation, policies: Sequence[Policy]) -> Iterator[str]:
    outcome = found.outcome
    final = outcome.final_rule
    names = {rule.id: rule.name for policy in policies for rule in policy.rules}
    if expected.effect != outcome.effect:
        yield f"expected {expected.effect}, found {outcome.effect}" + (f" (rule {final.id})" if final else "")
    if expected.rule is not None and expected.rule not in ((final.id, final.name) if final else ()):
        yield f"expected the rule {expected.rule}, found {final.id if final else 'none'}"
    if expected.shadow is not None:
        acted = [each.rule_id for each in outcome.shadow]
        if not _same_rules(expected.shadow, acted, names):
            yield f"expected in shadow {', '.join(expected.shadow) or 'none'}, found {', '.join(acted) or 'none'}"


def _same_rules(wanted: Sequence[str], found: Sequence[str], names: Mapping[str, str]) -> bool:
    """Whether *wanted*, ids or names, are the rules with the ids *found*, in any order."""
    known = [{rule_id, names[rule_id]} for rule_id in found]
    return len(wanted) == len(found) and all(any(each in words for words in known) for each in wanted)
