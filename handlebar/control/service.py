"""The control plane inside this process: decides and remembers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection

from handlebar._plumbing.clock import Deadline
from handlebar.control import agents, approvals, audit, lockdowns, runs
from handlebar.control.administration import Administration
from handlebar.control.database import Database
from handlebar.control.host import Host, HostAnswers
from handlebar.control.policies import PolicySource, read_sources
from handlebar.control.question import Question
from handlebar.control.rulebook import Rulebook
from handlebar.core.plane import ApprovalStatus, EncodedEvent, EvaluateRequest, Lockdown, RunEndStatus, StartRequest
from handlebar.core.schema.agents import AgentDescriptor, Tool
from handlebar.core.schema.governance import Decision
from handlebar.policy.decisions import decision_for

THE_TENANT = "default"
"""Whose everything is in a database that has but one tenant."""


class EmbeddedControlPlane(Administration):
    """
    Implements `ControlPlane` on a database; lives as long as its client.

    Thread-safe, fork-safe, and safe beside other processes on the same file. Opens nothing before it is used.
    """

    def __init__(
        self, database: Database, sources: Sequence[PolicySource] = (), *, host: Host, tenant: str = THE_TENANT
    ) -> None:
        super().__init__(database, tenant)
        self._rulebook = Rulebook(database, tenant, sources)
        self._host = host

    def register_agent(self, agent: AgentDescriptor, tools: Sequence[Tool], *, budget: float) -> str:
        """Register, as `ControlPlane` says."""
        deadline = Deadline.after(budget)
        self._rulebook.load_sources(deadline)
        with self._database.write(deadline) as connection:
            agent_id = agents.upsert(connection, self._tenant, agent)
            # An agent that says nothing of its tools takes none of them back.
            if tools:
                agents.set_tools(connection, agent_id, tools)
        self._rulebook.agent_registered(agent_id, agent)
        return agent_id

    def register_tools(self, agent_id: str, tools: Sequence[Tool], *, budget: float) -> None:
        """Register tools, as `ControlPlane` says."""
        with self._write_for(agent_id, Deadline.after(budget)) as connection:
            agents.set_tools(connection, agent_id, tools)

    def start_run(self, request: StartRequest, *, budget: float) -> Lockdown:
        """Start, as `ControlPlane` says."""
        deadline = Deadline.after(budget)
        with self._write_for(request.agent_id, deadline) as connection:
            runs.start(connection, request)
        return lockdowns.for_start(self._rulebook.current(deadline).lockdowns, request)

    def evaluate(self, request: EvaluateRequest, *, budget: float) -> Decision:
        """Decide, as `ControlPlane` says; in one transaction where a rule looks back."""
        deadline = Deadline.after(budget)
        in_force = self._rulebook.current(deadline)
        forced = lockdowns.decision_under(in_force.lockdowns, request)
        if forced is not None:
            return forced
        agent, engine = self._rulebook.engine(request.agent_id, in_force, deadline)
        question = Question(request, agent, engine, HostAnswers(self._host))
        if not question.needs_database:
            outcome = question.outcome_without_past()
            if outcome.effect != "hitl":
                return decision_for(outcome)
        return self._decide_in_transaction(question, deadline)

    def approval_status(self, approval_id: str, *, budget: float) -> ApprovalStatus:
        """Tell, as `ControlPlane` says."""
        with self._database.read(Deadline.after(budget)) as connection:
            return approvals.find(connection, self._tenant, approval_id).status

    def record(self, agent_id: str, batch_id: str, events: Sequence[EncodedEvent], *, budget: float) -> None:
        """Record, as `ControlPlane` says."""
        with self._write_for(agent_id, Deadline.after(budget)) as connection:
            audit.store_batch(connection, agent_id, batch_id, events)

    def end_run(self, agent_id: str, run_id: str, status: RunEndStatus, *, budget: float) -> None:
        """End, as `ControlPlane` says."""
        with self._write_for(agent_id, Deadline.after(budget)) as connection:
            runs.end(connection, agent_id, run_id, status)

    def close(self) -> None:
        """Close this process's connections, as `ControlPlane` says."""
        self._database.close()

    @contextmanager
    def _write_for(self, agent_id: str, deadline: Deadline) -> Iterator[Connection]:
        """Run a block in a transaction that writes; raises RefusedError where the tenant has no such agent."""
        self._rulebook.load_sources(deadline)
        with self._database.write(deadline) as connection:
            agents.find(connection, self._tenant, agent_id)
            yield connection

    def _decide_in_transaction(self, question: Question, deadline: Deadline) -> Decision:
        if self._host.signals or self._host.custom_functions:
            # The host's functions may be slow: they are asked before anybody waits for the database because of us.
            with self._database.read(deadline) as connection:
                question.outcome(connection)
        with self._database.write(deadline) as connection:
            outcome = question.outcome(connection)
            approval = approvals.ask(connection, question.request, outcome) if outcome.effect == "hitl" else None
            decision = decision_for(outcome, approval=approval)
            question.remember(connection, decision)
            if approval is not None and approval.status == "approved":
                approvals.use(connection, approval.approval_id)
        return decision


def open_control_plane(
    url: str,
    *,
    policies: Any = None,
    owner: str = "",
    signals: Mapping[str, Callable[..., Any]] | None = None,
    custom_functions: Mapping[str, Callable[..., Any]] | None = None,
) -> EmbeddedControlPlane:
    """
    Return the control plane on the database at *url*; opens nothing yet.

    Args:
        url: `sqlite:///file.db`, or `sqlite://` for one in memory.

        policies: A file, a folder, or a list of files and policies, to be put in force there.

        owner: The agent in whose config *policies* stand.

        signals: Functions by key, for rules of kind signal.

        custom_functions: Functions by name, for rules of kind custom.

    Raises:
        ConfigError: *url* is no such URL.

        PolicyError: A policy cannot be loaded.
    """
    sources = read_sources(policies, owner=owner)
    return EmbeddedControlPlane(Database(url), sources, host=Host(signals or {}, custom_functions or {}))
