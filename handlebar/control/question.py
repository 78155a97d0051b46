"""One request on its way to a decision: what the rules say of it, and what is remembered of it."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve
from sqlalchemy import Connection

from handlebar._plumbing.clock import time_ns
from handlebar.control import history, runs
from handlebar.control.costs import cost_usd
from handlebar.control.facts import NoPast, StoredFacts
from handlebar.control.history import Caller
from handlebar.control.host import HostAnswers
from handlebar.control.moments import moment
from handlebar.control.rulebook import AgentRules
from handlebar.core.plane import EvaluateRequest
from handlebar.core.schema.agents import AgentDescriptor
from handlebar.core.schema.governance import Decision
from handlebar.core.schema.metrics import InbuiltAgentMetricKind as Kind
from handlebar.policy.engine import Outcome
from handlebar.policy.explaining import explain
from handlebar.policy.facts import Call, Facts

_COST = Kind.LLM_COST_USD.value
_TOKENS = frozenset({Kind.LLM_TOKENS_IN.value, Kind.LLM_TOKENS_OUT.value, _COST})
_OF_ARGUMENTS = frozenset({Kind.BYTES_IN.value, Kind.RECORDS_IN.value})


class Question:
    """One request on its way to a decision."""

    def __init__(self, request: EvaluateRequest, rules: AgentRules, host: HostAnswers) -> None:
        self.request = request
        self._host = host
        self._call = _call(request, rules.agent)
        self._rules = rules
        self._engine = engine = rules.engine
        self._is_unpriced = (
            _COST in engine.metric_keys
            and _COST not in request.metrics
            and any(key in request.metrics for key in _TOKENS)
        )
        self._is_remembered = request.phase == "tool.before" and engine.remembers(request.tool_name, request.tool_tags)

    @property
    def needs_database(self) -> bool:
        """Whether a rule looks back, or this call is one that rules will look back for."""
        request = self.request
        return (
            self._is_remembered
            or self._is_unpriced
            or self._engine.needs_past(request.phase, request.tool_name, request.tool_tags)
            or bool(self._metrics(allowed=True))
        )

    def outcome_without_past(self) -> Outcome:
        """Return what the rules say, where none looks back."""
        return self._said(NoPast(self._host))

    def outcome(self, connection: Connection) -> Outcome:
        """Return what the rules say, with the past as it is in *connection*'s transaction."""
        self._price(connection)
        facts = StoredFacts(connection, self._caller, self._host, self._call.metrics)
        return self._said(facts)

    def remember(self, connection: Connection, decision: Decision) -> None:
        """Let the call count, and what was measured of it, as far as rules will ask for it."""
        if decision.allowed and self._is_remembered:
            history.remember_call(connection, self._caller, self.request.tool_name, self.request.tool_tags)
        history.remember_metrics(connection, self._caller, self._metrics(allowed=decision.allowed))

    def _said(self, facts: Facts) -> Outcome:
        if not self.request.explain:
            return self._engine.evaluate(self._call, facts)
        found = explain(self._rules.policies, self._call, facts, engine=self._engine)
        return evolve(found.outcome, trace=found.rules)

    def _price(self, connection: Connection) -> None:
        """Add what the model has cost, where a rule asks for that and it can be told."""
        if not self._is_unpriced:
            return
        self._is_unpriced = False
        model = runs.model_of(connection, self.request.agent_id, self.request.run_id)
        cost = cost_usd(model, self.request.metrics)
        if cost is not None:
            self._call = evolve(self._call, metrics={**self._call.metrics, _COST: cost})

    @property
    def _caller(self) -> Caller:
        request = self.request
        return Caller(
            agent_id=request.agent_id,
            run_id=request.run_id,
            actor_id=request.actor.external_id if request.actor else None,
            run_tags=request.tags,
            at=time_ns() // 1000,
        )

    def _metrics(self, *, allowed: bool) -> Mapping[str, float]:
        """Return the numbers to keep: each once, and of a call that does not run only what the model has used."""
        wanted = self._engine.metric_keys
        if self._engine.needs_run_time:
            wanted |= {Kind.DURATION_MS.value}
        if self.request.phase == "tool.after":
            wanted -= _OF_ARGUMENTS  # they were kept before the call
        elif not allowed:
            wanted &= _TOKENS
        return {key: value for key, value in self._call.metrics.items() if key in wanted}


def _call(request: EvaluateRequest, agent: AgentDescriptor) -> Call:
    return Call(
        phase=request.phase,
        agent_slug=agent.slug,
        agent_tags=agent.tags or (),
        tool_name=request.tool_name,
        tool_tags=request.tool_tags,
        args=request.args.value(),
        result=request.result.value() if request.result else None,
        actor=request.actor,
        run_tags=request.tags,
        subjects=request.subjects,
        metrics=request.metrics,
        now=moment(time_ns() // 1000),
    )
