"""Recorded calls, decided again in order, each with the past that the new policies would have made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import Factory, define, frozen

from handlebar.core.schema.agents import AgentDescriptor
from handlebar.core.schema.metrics import InbuiltAgentMetricKind as Kind
from handlebar.core.schema.rules import Effect, Policy
from handlebar.policy.engine import Engine, Outcome, compile_policies
from handlebar.policy.explaining import Explanation, explain
from handlebar.policy.facts import Call, CountQuery, MetricQuery, UnavailableError
from handlebar.policy.remembering import Caller, Memory, RememberedFacts
from handlebar.policy.replaying.recorded import RecordedCall

_UNRECORDED = frozenset({Kind.LLM_COST_USD.value})
"""Metrics that no event tells of."""


@frozen
class Replayed:
    """
    A recorded call, decided again.

    Attributes:
        doubts: What the new rules asked for and the record does not hold; they took it for missing.
    """

    call: RecordedCall
    outcome: Outcome
    doubts: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether other would have been decided; a person's answer to the same rule's question stands."""
        final = self.outcome.final_rule
        if self.outcome.effect == "hitl" and final is not None and final.id == self.call.rule_id:
            return False
        return self.outcome.effect != self.call.effect


@define
class Summary:
    """
    What a replay came to, so far.

    Attributes:
        changes: How many calls would have been decided otherwise: by effect then, effect now, tool, and the rule
            that decides now (that decided then, where none does now).
    """

    calls: int = 0
    changed: int = 0
    doubtful: int = 0
    passed_over: int = 0
    changes: Counter[tuple[Effect, Effect, str, str]] = Factory(Counter)

    def add(self, replayed: Replayed) -> None:
        """Count one call."""
        self.calls += 1
        self.doubtful += bool(replayed.doubts)
        if not replayed.changed:
            return
        self.changed += 1
        call, outcome = replayed.call, replayed.outcome
        rule = outcome.final_rule.id if outcome.final_rule else call.rule_id
        self.changes[call.effect, outcome.effect, call.tool_name, rule or ""] += 1


class Replay:
    """
    Decides recorded calls again, one after the other; lives as long as one replay.

    A call that would have been blocked takes no place in any limit, and one that was blocked then and would be allowed
    takes one. A run that would have been stopped is replayed to its end.

    Args:
        policies: What would have been in force.

        agent_of: Describes an agent by what recorded calls name it by.
    """

    def __init__(self, policies: Sequence[Policy], agent_of: Callable[[str], AgentDescriptor]) -> None:
        self._policies = policies
        self._agent_of = agent_of
        self._memory = Memory()
        self._engines: dict[str, tuple[AgentDescriptor, Engine]] = {}

    def decide(self, call: RecordedCall) -> Replayed | None:
        """Decide *call* again, and let it count; None where no rules had decided it, as under a lockdown."""
        if not call.by_rules:
            return None
        agent, engine = self._known(call.agent)
        caller = _caller(call)
        facts = _RecordedFacts(memory=self._memory, caller=caller, metrics=call.metrics)
        outcome = engine.evaluate(_call(call, agent), facts)
        self._remember(call, caller, engine, outcome)
        return Replayed(call, outcome, _doubts(call, facts))

    def explain(self, call: RecordedCall) -> Explanation:
        """Return what the policies say of *call*, which is not decided yet, and why; it does not count by that."""
        agent, _ = self._known(call.agent)
        facts = _RecordedFacts(memory=self._memory, caller=_caller(call), metrics=call.metrics)
        return explain(self._policies, _call(call, agent), facts)

    def _known(self, name: str) -> tuple[AgentDescriptor, Engine]:
        if name not in self._engines:
            agent = self._agent_of(name)
            engine = compile_policies(self._policies, agent_slug=agent.slug, agent_tags=agent.tags or ())
            self._engines[name] = agent, engine
        return self._engines[name]

    def _remember(self, call: RecordedCall, caller: Caller, engine: Engine, outcome: Outcome) -> None:
        runs = outcome.effect == "allow" or (outcome.effect == "hitl" and call.allowed)
        if call.phase == "tool.before" and runs and engine.remembers(call.tool_name, call.tool_tags):
            self._memory.remember_call(caller, call.tool_name, call.tool_tags)
        wanted = engine.metric_keys | ({Kind.DURATION_MS.value} if engine.needs_run_time else set())
        if call.phase == "tool.after":
            wanted -= {Kind.BYTES_IN.value}  # it was counted before the call
        self._memory.remember_metrics(caller, {key: value for key, value in call.metrics.items() if key in wanted})


@frozen(kw_only=True)
class _RecordedFacts(RememberedFacts):
    """The facts of a recorded call; what the record does not hold is missing, and noted as a doubt."""

    doubts: dict[str, None] = Factory(dict)

    def count_calls(self, query: CountQuery) -> int:
        """Count, as `Facts` says."""
        if query.run_tags:
            raise self._unknown("the run's tags")
        return super().count_calls(query)

    def metric(self, query: MetricQuery) -> float:
        """Aggregate, as `Facts` says."""
        if query.key in _UNRECORDED:
            raise self._unknown(f"the metric {query.key}")
        return super().metric(query)

    def signal(self, key: str, args: Mapping[str, Any]) -> Any:
        """No event tells what the application said."""
        raise self._unknown(f"the signal {key}")

    def custom(self, name: str, args: Mapping[str, Any], call: Call) -> bool:
        """As above."""
        raise self._unknown(f"the function {name}")

    def _unknown(self, what: str) -> UnavailableError:
        self.doubts[what] = None
        return UnavailableError(f"{what}: not in the record")


def _doubts(call: RecordedCall, facts: _RecordedFacts) -> tuple[str, ...]:
    return (*facts.doubts, *(("the arguments",) if call.args is None else ()))


def _caller(call: RecordedCall) -> Caller:
    return Caller(
        agent=call.agent,
        run_id=call.run_id,
        actor_id=call.actor.external_id if call.actor else None,
        run_tags=None,
        at=call.at.timestamp(),
    )


def _call(call: RecordedCall, agent: AgentDescriptor) -> Call:
    return Call(
        phase=call.phase,
        agent_slug=agent.slug,
        agent_tags=agent.tags or (),
        tool_name=call.tool_name,
        tool_tags=call.tool_tags,
        args=call.args,
        actor=call.actor,
        subjects=call.subjects,
        metrics=call.metrics,
        now=call.at,
    )
