"""A control plane elsewhere, with decisions made here where they need nothing that others share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import evolve

from handlebar._plumbing import logs
from handlebar._plumbing.clock import Deadline
from handlebar.control import lockdowns
from handlebar.control.host import Host, HostAnswers
from handlebar.control.policy_snapshot import Snapshot
from handlebar.control.question import Question
from handlebar.control.snapshots import Snapshots
from handlebar.core.api import HttpControlPlane
from handlebar.core.plane import EvaluateRequest, Lockdown, StartRequest
from handlebar.core.schema.agents import AgentDescriptor, Tool
from handlebar.core.schema.governance import Decision, LockdownCause
from handlebar.errors import ControlPlaneError
from handlebar.policy.decisions import decision_for

LOCAL = "local"
"""What decisions say that were made here."""


class LocalControlPlane(HttpControlPlane):
    """
    Implements `ControlPlane` over HTTP, and decides in this process by a snapshot of what is in force.

    Counts, metrics, past calls and questions to people are shared with other processes: a call that a rule of that
    sort looks at, now or later, is decided by the control plane. Everything else is decided here, lockdowns that
    the snapshot names first of all. A change reaches decisions made here within some `REFRESH_SECONDS`, at once
    where an answer of the control plane tells of it, and never later than `STALE_SECONDS`: a snapshot that nobody
    has confirmed for so long is not used.

    Lives as long as its client, thread-safe and fork-safe; the first use in a process starts the timer that looks
    for changes.

    Args:
        endpoint: The base URL.

        api_key: Sent as the bearer token.

        asks_instead: Let the control plane decide where there is no snapshot that can be used. Otherwise it is
            asked for the snapshot, and there is no decision where that cannot be had.

        host: The host application's functions, for rules that are decided here.

        connection: The rest of what `HttpControlPlane` takes.
    """

    def __init__(self, endpoint: str, api_key: str, *, asks_instead: bool, host: Host, **connection: Any) -> None:
        super().__init__(endpoint, api_key, **connection)
        self._host = host
        self._asks_instead = asks_instead
        self._snapshots = Snapshots(self)

    def register_agent(self, agent: AgentDescriptor, tools: Sequence[Tool], *, budget: float) -> str:
        """Register, as `ControlPlane` says, and take the first snapshot."""
        deadline = Deadline.after(budget)
        agent_id = super().register_agent(agent, tools, budget=budget)
        try:
            self._snapshots.fetch(agent_id, budget=deadline.remaining())
        except ControlPlaneError as error:
            logs.warn_once_a_minute(f"snapshot:{error.reason}", "The policies in force could not be had: %s", error)
        return agent_id

    def start_run(self, request: StartRequest, *, budget: float) -> Lockdown:
        """Start, as `ControlPlane` says."""
        told = super().start_run(request, budget=budget)
        if told.active:
            self._snapshots.distrust(request.agent_id)
        return told

    def evaluate(self, request: EvaluateRequest, *, budget: float) -> Decision:
        """Decide, as `ControlPlane` says: here, or where what is shared is known."""
        deadline = Deadline.after(budget)
        snapshot = self._snapshots.current(request.agent_id)
        if snapshot is None and not self._asks_instead:
            snapshot = self._snapshots.fetch(request.agent_id, budget=deadline.remaining())
        decision = None if snapshot is None else self._decision(snapshot, request)
        return decision or self._asked(snapshot, request, deadline)

    def close(self) -> None:
        """Close this process's connections, and look for no more changes."""
        self._snapshots.close()
        super().close()

    def _decision(self, snapshot: Snapshot, request: EvaluateRequest) -> Decision | None:
        """Return the decision, None where it takes what others share."""
        forced = lockdowns.decision_under(snapshot.lockdowns, request)
        if forced is not None:
            return evolve(forced, decided_by=LOCAL)
        rules = snapshot.rules
        question = Question(request, rules, HostAnswers(self._host))
        if question.needs_database:
            return None
        outcome = question.outcome_without_past()
        if outcome.effect == "hitl":
            return None
        return decision_for(outcome, decided_by=LOCAL, policy_versions=rules.versions)

    def _asked(self, snapshot: Snapshot | None, request: EvaluateRequest, deadline: Deadline) -> Decision:
        """Let the control plane decide; its answer may tell that the snapshot is out of date."""
        decision = super().evaluate(request, budget=deadline.remaining())
        if snapshot is not None and _is_news(decision, snapshot):
            self._snapshots.distrust(request.agent_id)
        return decision


def _is_news(decision: Decision, snapshot: Snapshot) -> bool:
    return isinstance(decision.cause, LockdownCause) or decision.policy_versions != snapshot.rules.versions
