"""The paths to a decision: the engine alone, the plane in this process, over HTTP, and by a snapshot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from attrs import Factory, field, frozen

from handlebar.control.administration import Administration
from handlebar.control.host import Host
from handlebar.core.api import HttpControlPlane
from handlebar.core.measuring import Measured
from handlebar.core.plane import ControlPlane, EvaluateRequest, StartRequest
from handlebar.core.schema.agents import Actor, AgentDescriptor
from handlebar.core.schema.governance import Decision
from handlebar.policy import load_policies
from handlebar.policy.decisions import ApprovalView, decision_for, fingerprint
from handlebar.policy.engine import Engine, compile_policies
from handlebar.policy.facts import Call, CountQuery, MetricQuery, PastCall, UnavailableError
from tests.conformance.cases import AnswerStep, CallStep, Case, LockdownStep
from tests.support.policies import NOON

SECONDS = 30.0
SLUG = "desk"


class Path(Protocol):
    """A path to decisions on the calls of one case."""

    def decide(self, step: CallStep) -> Decision:
        """Return the decision on a call."""
        ...

    def answer(self, step: AnswerStep) -> None:
        """Let a person answer the question that was last put."""
        ...

    def lock(self, step: LockdownStep) -> None:
        """Impose or lift a lockdown."""
        ...


def host_of(case: Case) -> Host:
    """Return the host application's functions that a case states."""
    signals = {key: _always(value) for key, value in case.signals.items()}
    return Host(signals, {name: _always(value) for name, value in case.functions.items()})


def _always(value: Any) -> Callable[..., Any]:
    return lambda *_: value


def actor_of(case: Case, step: CallStep) -> Actor | None:
    """Return whom a call is made for."""
    return case.actor if step.actor is None else Actor(step.actor)


def metrics_of(step: CallStep) -> Mapping[str, float]:
    """Return the numbers reported with a call."""
    duration = {} if step.duration_ms is None else {"duration_ms": step.duration_ms}
    return {**step.metrics, **duration}


@frozen
class PlanePath:
    """
    A path through a control plane.

    Attributes:
        administration: What people do with the same database.

        news: Lets the plane hear of a lockdown, where that would otherwise take a while.
    """

    case: Case
    plane: ControlPlane
    administration: Administration
    agent_id: str
    news: Callable[[], None] = lambda: None
    _started: set[tuple[str, str | None]] = field(factory=set)

    def decide(self, step: CallStep) -> Decision:
        """Start the run where it is new, and ask."""
        actor = actor_of(self.case, step)
        run = (step.run, actor.external_id if actor else None)
        run_id = f"{self.agent_id}-{run}"
        if run not in self._started:
            self._started.add(run)
            start = StartRequest(run_id=run_id, agent_id=self.agent_id, actor=actor)
            self.plane.start_run(start, budget=SECONDS)
        request = EvaluateRequest(
            phase="tool.after" if step.phase == "after" else "tool.before",
            run_id=run_id,
            agent_id=self.agent_id,
            tool_name=step.tool,
            tool_tags=step.tool_tags,
            args=Measured.of(step.args),
            result=Measured.of("done") if step.phase == "after" else None,
            actor=actor,
            tags=self.case.tags,
            subjects=self.case.subjects,
            metrics=metrics_of(step),
        )
        return self.plane.evaluate(request, budget=SECONDS)

    def answer(self, step: AnswerStep) -> None:
        """Answer the latest question."""
        (asked,) = self.administration.approvals(status="pending")
        self.administration.respond(asked.id, step.status, responded_by="ann")

    def lock(self, step: LockdownStep) -> None:
        """Impose or lift."""
        if step.reason is None:
            assert 1 == self.administration.lift_lockdown(SLUG, actor=step.actor, tool=step.tool)
        else:
            self.administration.lock_down(SLUG, step.reason, actor=step.actor, tool=step.tool)
        self.news()


def registered(plane: ControlPlane, case: Case) -> str:
    """Make a case's agent known; return its id."""
    return plane.register_agent(AgentDescriptor(SLUG, tags=case.agent_tags), [], budget=SECONDS)


def http_plane(url: str, key: str, kind: type[HttpControlPlane] = HttpControlPlane, **more: Any) -> HttpControlPlane:
    """Return a plane over HTTP."""
    return kind(url, key, connect_timeout=SECONDS, read_timeout=SECONDS, **more)


@frozen
class _Made:
    """A call that was made: who, what, when, and the numbers that are kept of it."""

    tool: str
    tags: tuple[str, ...]
    actor: str | None
    run: str
    at: datetime
    counts: bool
    metrics: Mapping[str, float]


@frozen
class _Facts:
    """Implements `Facts` by looking through a list: slow, and plain enough to be believed."""

    case: Case
    made: Sequence[_Made]
    present: _Made

    def past_calls(self) -> Sequence[PastCall]:
        """Look for the run's allowed calls."""
        return [PastCall(each.tool, each.tags) for each in self._in_scope("run", None) if each.counts]

    def count_calls(self, query: CountQuery) -> int:
        """Count them."""
        if not query.run_tags.items() <= self.case.tags.items():
            return 0
        known = self._in_scope(query.scope, query.window_seconds)
        return sum(each.counts and query.calls.matches(each.tool, each.tags) for each in known)

    def metric(self, query: MetricQuery) -> float:
        """Gather the values, the present one included."""
        known = [*self._in_scope(query.scope, query.window_seconds), self.present]
        values = [each.metrics[query.key] for each in known if query.key in each.metrics]
        if query.aggregate == "count":
            return float(len(values))
        if not values:
            raise UnavailableError("none")
        average = sum(values) / len(values)
        return float({"sum": sum(values), "avg": average, "max": max(values), "min": min(values)}[query.aggregate])

    def run_tool_time_ms(self) -> float:
        """Add up."""
        return sum(each.metrics.get("duration_ms", 0.0) for each in [*self._in_scope("run", None), self.present])

    def signal(self, key: str, args: Mapping[str, Any]) -> Any:
        """Look the value up."""
        return _stated(self.case.signals, key)

    def custom(self, name: str, args: Mapping[str, Any], call: Call) -> bool:
        """Look the answer up."""
        return bool(_stated(self.case.functions, name))

    def _in_scope(self, scope: str, window: float | None) -> list[_Made]:
        if scope == "agent_user" and self.present.actor is None:
            raise UnavailableError("nobody")
        since = None if window is None else self.present.at - timedelta(seconds=window)
        return [
            each
            for each in self.made
            if (scope != "run" or each.run == self.present.run)
            and (scope != "agent_user" or each.actor == self.present.actor)
            and (since is None or each.at > since)
        ]


def _stated(values: Mapping[str, Any], key: str) -> Any:
    if key not in values:
        raise UnavailableError(key)
    return values[key]


@frozen
class EnginePath:
    """The engine alone, with a history and approvals that the test keeps itself; of lockdowns it knows nothing."""

    case: Case
    engine: Engine
    _made: list[_Made] = field(factory=list)
    _approvals: dict[str, Any] = Factory(dict)

    @classmethod
    def of(cls, case: Case) -> EnginePath:
        """Compile a case's policies, each by itself as a control plane does."""
        policies = [policy for each in case.policies for policy in load_policies([each])]
        return cls(case, compile_policies(policies, agent_slug=SLUG, agent_tags=case.agent_tags))

    def decide(self, step: CallStep) -> Decision:
        """Ask the rules, and remember the call."""
        actor, at = actor_of(self.case, step), step.at or NOON
        metrics = metrics_of(step)
        actor_id = actor.external_id if actor else None
        present = _Made(step.tool, step.tool_tags, actor_id, f"{step.run}-{actor_id}", at, False, metrics)
        call = Call(
            phase="tool.after" if step.phase == "after" else "tool.before",
            agent_slug=SLUG,
            agent_tags=self.case.agent_tags,
            tool_name=step.tool,
            tool_tags=step.tool_tags,
            args=step.args,
            actor=actor,
            run_tags=self.case.tags,
            subjects=self.case.subjects,
            metrics=metrics,
            now=at,
        )
        outcome = self.engine.evaluate(call, _Facts(self.case, self._made, present))
        approval = None
        if outcome.effect == "hitl" and outcome.final_rule is not None:
            mark = fingerprint(SLUG, outcome.final_rule, step.tool, step.args)
            approval = ApprovalView("asked", self._approvals.setdefault(mark, "pending"))
            if approval.status == "approved":
                del self._approvals[mark]
        decision = decision_for(outcome, approval=approval)
        counts = decision.allowed and step.phase == "before"
        kept = metrics if decision.allowed or step.phase == "after" else {}
        self._made.append(_Made(step.tool, step.tool_tags, actor_id, present.run, at, counts, kept))
        return decision

    def answer(self, step: AnswerStep) -> None:
        """Answer the question that is open."""
        (mark,) = [mark for mark, status in self._approvals.items() if status == "pending"]
        self._approvals[mark] = step.status

    def lock(self, step: LockdownStep) -> None:
        """It is not asked."""
        raise AssertionError("the engine knows no lockdowns")
