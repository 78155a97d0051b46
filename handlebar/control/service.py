"""The control plane inside this process: decides and remembers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from attrs import evolve
from sqlalchemy import Connection

from handlebar._plumbing.clock import Deadline
from handlebar.control import agents, approvals, audit, budgets, lockdowns, runs, standing
from handlebar.control.actors import Actors
from handlebar.control.administration import Administration
from handlebar.control.database import Database
from handlebar.control.handoffs.delivering import Deliverer
from handlebar.control.handoffs.targets import usual_targets
from handlebar.control.host import Host, HostAnswers
from handlebar.control.keys import THE_TENANT as THE_TENANT
from handlebar.control.policies import NOTHING_CONFIGURED, PolicySources, read_sources
from handlebar.control.policy_snapshot import snapshot_of
from handlebar.control.presence import is_known, note
from handlebar.control.question import Question
from handlebar.control.rulebook import AgentRules, InForce, Rulebook, rules_on_trial
from handlebar.core.plane import (
    AgentStatus,
    ApprovalStatus,
    EncodedEvent,
    EvaluateRequest,
    Grants,
    Lockdown,
    PolicySnapshot,
    Presence,
    RunEndStatus,
    StartRequest,
)
from handlebar.core.schema.agents import AgentDescriptor, Tool
from handlebar.core.schema.governance import Decision
from handlebar.core.schema.rules import Policy
from handlebar.policy.decisions import ApprovalView, decision_for
from handlebar.policy.engine import Outcome

_NOBODY_ASKED = ApprovalView(approval_id="", status="pending")


class EmbeddedControlPlane(Administration):
    """
    Implements `ControlPlane` on a database; lives as long as its client.

    Thread-safe, fork-safe, and safe beside other processes on the same file. Opens nothing before it is used.
    """

    def __init__(
        self,
        database: Database,
        sources: PolicySources = NOTHING_CONFIGURED,
        *,
        host: Host,
        tenant: str = THE_TENANT,
        deliverer: Deliverer | None = None,
        decided_by: str = "embedded",
    ) -> None:
        super().__init__(database, tenant)
        self._deliverer = deliverer or Deliverer(database, usual_targets())
        self._rulebook = Rulebook(database, tenant, sources)
        self._actors = Actors(database, tenant)
        self._decided_by = decided_by
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
        self._commit_for(agent_id, Deadline.after(budget), lambda each: agents.set_tools(each, agent_id, tools))

    def start_run(self, request: StartRequest, *, budget: float) -> Lockdown:
        """Start, as `ControlPlane` says."""
        deadline = Deadline.after(budget)
        self._commit_for(request.agent_id, deadline, lambda connection: runs.start(connection, request))
        return lockdowns.for_start(self._rulebook.current(deadline).lockdowns, request)

    def evaluate(self, request: EvaluateRequest, *, budget: float) -> Decision:
        """Decide, as `ControlPlane` says; in one transaction where a rule looks back."""
        deadline = Deadline.after(budget)
        in_force = self._rulebook.current(deadline)
        forced = self._forced(in_force, request)
        if forced is not None:
            return forced
        rules = self._rulebook.rules_for(request.agent_id, in_force, deadline)
        completed = self._actors.completed(request, deadline)
        question = Question(completed, rules, HostAnswers(self._host))
        if not question.needs_database:
            outcome = question.outcome_without_past()
            if outcome.effect != "hitl":
                return self._decision(outcome, rules)
        return self._decide_in_transaction(question, rules, deadline)

    def check(self, request: EvaluateRequest, policies: Sequence[Policy] | None = None, *, budget: float) -> Decision:
        """
        Return what would be decided of a call that belongs to no run; nothing counts by that, and nobody is asked.

        Args:
            request: The call, with all that is known of its actor.

            policies: Those to decide by, instead of what is in force.

            budget: Seconds that it may take.
        """
        deadline = Deadline.after(budget)
        in_force = self._rulebook.current(deadline)
        forced = self._forced(in_force, request)
        if forced is not None:
            return forced
        rules = self._rulebook.rules_for(request.agent_id, in_force, deadline)
        if policies is not None:
            rules = rules_on_trial(rules.agent, policies)
        with self._database.read(deadline) as connection:
            outcome = Question(request, rules, HostAnswers(self._host)).outcome(connection)
        return self._decision(outcome, rules, _NOBODY_ASKED if outcome.effect == "hitl" else None)

    def load_policies(self, *, budget: float) -> None:
        """Put what the config's files hold in force, where that has changed; every decision does so too."""
        self._rulebook.load_sources(Deadline.after(budget))

    def policy_snapshot(self, agent_id: str, known: str | None, *, budget: float) -> PolicySnapshot | None:
        """Return what is in force for an agent; None where that is the version that is *known*."""
        deadline = Deadline.after(budget)
        in_force = self._rulebook.current(deadline)
        made = snapshot_of(agent_id, self._rulebook.rules_for(agent_id, in_force, deadline), in_force)
        return None if made.version == known else made

    def approval_status(self, approval_id: str, *, budget: float) -> ApprovalStatus:
        """Tell, as `ControlPlane` says."""
        with self._database.read(Deadline.after(budget)) as connection:
            return approvals.find(connection, self._tenant, approval_id).status

    def agent_status(self, agent_id: str, presence: Presence | None, *, budget: float) -> AgentStatus:
        """Tell, as `ControlPlane` says."""
        deadline = Deadline.after(budget)
        in_force = self._rulebook.current(deadline)
        agent = self._rulebook.rules_for(agent_id, in_force, deadline).agent
        known = standing.of_agent(in_force.lockdowns, agent_id)
        if presence is not None:
            self._note_presence(agent_id, presence, {each.id for each in known}.intersection(presence.obeys), deadline)
        return standing.status_of(agent, _policies(in_force), known)

    def budgets(self, agent_id: str, actors: Sequence[str], *, budget: float) -> Grants:
        """Tell, as `ControlPlane` says."""
        deadline = Deadline.after(budget)
        in_force = self._rulebook.current(deadline)
        agent = self._rulebook.rules_for(agent_id, in_force, deadline).agent
        with self._database.read(deadline) as connection:
            return budgets.grants(connection, _policies(in_force), agent_id, agent, actors)

    def record(self, agent_id: str, batch_id: str, events: Sequence[EncodedEvent], *, budget: float) -> None:
        """Record, as `ControlPlane` says."""
        self._commit_for(
            agent_id,
            Deadline.after(budget),
            lambda connection: audit.store_batch(connection, agent_id, batch_id, events),
        )

    def end_run(self, agent_id: str, run_id: str, status: RunEndStatus, *, budget: float) -> None:
        """End, as `ControlPlane` says."""
        self._commit_for(
            agent_id, Deadline.after(budget), lambda connection: runs.end(connection, agent_id, run_id, status)
        )

    def close(self) -> None:
        """Close this process's connections, as `ControlPlane` says; what webhooks are to be told now is told before."""
        self._deliverer.close()
        self._database.close()

    def _note_presence(self, agent_id: str, who: Presence, obeyed: Collection[str], deadline: Deadline) -> None:
        """Take note of a process; mostly nothing is new, and nobody has to wait for a turn to write."""
        with self._database.read(deadline) as connection:
            if is_known(connection, agent_id, who, obeyed):
                return
        self._commit_for(agent_id, deadline, lambda connection: note(connection, agent_id, who, obeyed))

    def _commit_for(self, agent_id: str, deadline: Deadline, write: Callable[[Connection], object]) -> None:
        """Commit what *write* does in a transaction; raises RefusedError where the tenant has no such agent."""

        def do(connection: Connection) -> None:
            agents.find(connection, self._tenant, agent_id)
            write(connection)

        self._rulebook.load_sources(deadline)
        self._database.commit(do, deadline, agent_id=agent_id)

    def _forced(self, in_force: InForce, request: EvaluateRequest) -> Decision | None:
        """Return what is decided because of a lockdown; None where there is none."""
        forced = lockdowns.decision_under(in_force.lockdowns, request)
        return None if forced is None else evolve(forced, decided_by=self._decided_by)

    def _decide_in_transaction(self, question: Question, rules: AgentRules, deadline: Deadline) -> Decision:
        if self._host.signals or self._host.custom_functions:
            # The host's functions may be slow: they are asked before anybody waits for the database because of us.
            with self._database.read(deadline) as connection:
                question.outcome(connection)

        def do(connection: Connection) -> tuple[Decision, ApprovalView | None]:
            outcome = question.outcome(connection)
            approval = approvals.ask(connection, question.request, outcome) if outcome.effect == "hitl" else None
            decision = self._decision(outcome, rules, approval)
            question.remember(connection, decision)
            if approval is not None and approval.status == "approved":
                approvals.use(connection, approval.approval_id)
            return decision, approval

        decision, approval = self._database.commit(do, deadline, agent_id=question.request.agent_id)
        if approval is not None and approval.status == "pending":
            self._something_happened()
        return decision

    def _decision(self, outcome: Outcome, rules: AgentRules, approval: ApprovalView | None = None) -> Decision:
        return decision_for(outcome, approval=approval, decided_by=self._decided_by, policy_versions=rules.versions)

    def _something_happened(self) -> None:
        self._deliverer.wake()


def _policies(in_force: InForce) -> list[Policy]:
    return [each.policy for each in in_force.policies if each.policy is not None]


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
        url: `sqlite:///file.db`, `sqlite://` for one in memory, or `postgresql+psycopg://user@host/name`.

        policies: A file, a folder, or a list of files and policies, to be put in force there.

        owner: The agent in whose config *policies* stand.

        signals: Functions by key, for rules of kind signal.

        custom_functions: Functions by name, for rules of kind custom.

    Raises:
        ConfigError: *url* is no such URL, or what it needs is not installed.

        PolicyError: A policy cannot be loaded.
    """
    sources = read_sources(policies, owner=owner)
    return EmbeddedControlPlane(
        Database(url, field="api_endpoint"), sources, host=Host(signals or {}, custom_functions or {})
    )
