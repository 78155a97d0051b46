"""The control plane inside this process: decides, remembers, and lets what it remembers be read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from attrs import field, frozen

from handlebar._plumbing.clock import Deadline, time_ns
from handlebar._plumbing.forking import PerProcess
from handlebar.control import agents, approvals, audit, history, policies, runs
from handlebar.control.approvals import Answer, ApprovalRecord
from handlebar.control.audit import ChainReport
from handlebar.control.database import Database
from handlebar.control.facts import NoPast, StoredFacts
from handlebar.control.history import Caller
from handlebar.control.host import Host, HostAnswers
from handlebar.control.policies import PolicySource, read_sources
from handlebar.control.runs import RunView
from handlebar.core.plane import ApprovalStatus, EncodedEvent, EvaluateRequest, Lockdown, RunEndStatus, StartRequest
from handlebar.core.schema.agents import AgentDescriptor, Tool
from handlebar.core.schema.governance import Decision
from handlebar.core.schema.metrics import InbuiltAgentMetricKind as Kind
from handlebar.core.schema.rules import Policy
from handlebar.errors import ConfigError, RefusedError
from handlebar.policy.decisions import decision_for
from handlebar.policy.engine import Engine, Outcome, compile_policies
from handlebar.policy.facts import Call

READING_SECONDS = 10.0
"""How long reading may wait for the database."""

_TOKENS = frozenset({Kind.LLM_TOKENS_IN.value, Kind.LLM_TOKENS_OUT.value, Kind.LLM_COST_USD.value})
_OF_ARGUMENTS = frozenset({Kind.BYTES_IN.value, Kind.RECORDS_IN.value})


@frozen
class _InForce:
    """The policies of one generation; engines are compiled on first use."""

    generation: int
    policies: tuple[Policy, ...]
    engines: dict[AgentDescriptor, Engine] = field(factory=dict)


class _Process:
    """What one process knows."""

    def __init__(self) -> None:
        self.loaded = False
        self.in_force: _InForce | None = None
        self.agents: dict[str, AgentDescriptor] = {}


class EmbeddedControlPlane:
    """
    Implements `ControlPlane` on a database; lives as long as its client.

    Thread-safe, fork-safe, and safe beside other processes on the same file. Opens nothing before it is used.
    """

    def __init__(self, database: Database, sources: Sequence[PolicySource], host: Host) -> None:
        self._database = database
        self._sources = sources
        self._host = host
        self._process: PerProcess[_Process] = PerProcess(_Process)

    def register_agent(self, agent: AgentDescriptor, tools: Sequence[Tool], *, budget: float) -> str:
        """Register, as `ControlPlane` says."""
        with self._database.write(Deadline.after(budget)) as connection:
            agent_id = agents.upsert(connection, agent)
            agents.set_tools(connection, agent_id, tools)
        self._process.get().agents[agent_id] = agent
        return agent_id

    def register_tools(self, agent_id: str, tools: Sequence[Tool], *, budget: float) -> None:
        """Register tools, as `ControlPlane` says."""
        with self._database.write(Deadline.after(budget)) as connection:
            agents.set_tools(connection, agent_id, tools)

    def start_run(self, request: StartRequest, *, budget: float) -> Lockdown:
        """Start, as `ControlPlane` says."""
        with self._database.write(Deadline.after(budget)) as connection:
            runs.start(connection, request)
        return Lockdown()

    def evaluate(self, request: EvaluateRequest, *, budget: float) -> Decision:
        """Decide, as `ControlPlane` says; in one transaction where a rule looks back."""
        deadline = Deadline.after(budget)
        engine = self._engine(request.agent_id, deadline)
        question = _Question(request, engine, HostAnswers(self._host))
        if not question.needs_database:
            outcome = engine.evaluate(question.call, NoPast(question.host))
            if outcome.effect != "hitl":
                return decision_for(outcome)
        return self._decide_in_transaction(question, deadline)

    def approval_status(self, approval_id: str, *, budget: float) -> ApprovalStatus:
        """Tell, as `ControlPlane` says."""
        with self._database.read(Deadline.after(budget)) as connection:
            return approvals.find(connection, approval_id).status

    def record(self, agent_id: str, batch_id: str, events: Sequence[EncodedEvent], *, budget: float) -> None:
        """Record, as `ControlPlane` says."""
        with self._database.write(Deadline.after(budget)) as connection:
            audit.store_batch(connection, agent_id, batch_id, events)

    def end_run(self, agent_id: str, run_id: str, status: RunEndStatus, *, budget: float) -> None:
        """End, as `ControlPlane` says."""
        with self._database.write(Deadline.after(budget)) as connection:
            runs.end(connection, agent_id, run_id, status)

    def close(self) -> None:
        """Close this process's connections, as `ControlPlane` says."""
        self._database.close()

    def runs(self, *, limit: int = 100) -> list[RunView]:
        """
        Return the latest runs, newest first.

        Raises:
            UnreachableError: The database cannot be read.
        """
        with self._database.read(Deadline.after(READING_SECONDS)) as connection:
            return runs.latest(connection, limit)

    def events(self, run_id: str) -> list[dict[str, Any]]:
        """
        Return the audit events of a run as they are on the wire, in the order in which they were recorded.

        Raises:
            UnreachableError: The database cannot be read.
        """
        with self._database.read(Deadline.after(READING_SECONDS)) as connection:
            return [json.loads(row.body) for row in audit.events_of(connection, run_id)]

    def approvals(self, *, status: ApprovalStatus | None = None, limit: int = 100) -> list[ApprovalRecord]:
        """
        Return the latest questions to people, newest first.

        Args:
            status: Only those that are `pending`, `approved`, `denied`, `expired` or `used`.

            limit: So many at most.

        Raises:
            UnreachableError: The database cannot be read.
        """
        with self._database.read(Deadline.after(READING_SECONDS)) as connection:
            return approvals.listed(connection, status, limit)

    def approval(self, approval_id: str) -> ApprovalRecord:
        """
        Return one question.

        Raises:
            RefusedError: There is none of that id (404).

            UnreachableError: The database cannot be read.
        """
        with self._database.read(Deadline.after(READING_SECONDS)) as connection:
            return approvals.find(connection, approval_id)

    def respond(
        self, approval_id: str, status: Answer, *, responded_by: str, note: str | None = None
    ) -> ApprovalRecord:
        """
        Answer a question. Of two answers that race exactly one wins.

        Args:
            approval_id: The question.

            status: `approved` or `denied`.

            responded_by: Who answers.

            note: Why, for the record.

        Raises:
            ConfigError: *status* or *responded_by* is not what is allowed.

            RefusedError: There is no such question (404); it is not open any more, or this person has answered
                already (409); this person may not answer (403).

            UnreachableError: The database cannot be used.
        """
        _check_answer(status, responded_by)
        with self._database.write(Deadline.after(READING_SECONDS)) as connection:
            approvals.respond(connection, approval_id, status, responded_by, note)
            return approvals.find(connection, approval_id)

    def verify_chain(self, agent_id: str, run_id: str) -> ChainReport:
        """
        Check that no audit event of a run was changed, removed or moved since it was recorded.

        Raises:
            UnreachableError: The database cannot be read.
        """
        with self._database.read(Deadline.after(READING_SECONDS)) as connection:
            return audit.verify(connection, agent_id, run_id)

    def _decide_in_transaction(self, question: _Question, deadline: Deadline) -> Decision:
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

    def _engine(self, agent_id: str, deadline: Deadline) -> Engine:
        in_force = self._in_force(deadline)
        agent = self._agent(agent_id, deadline)
        engine = in_force.engines.get(agent)
        if engine is None:
            engine = compile_policies(in_force.policies, agent_slug=agent.slug, agent_tags=agent.tags or ())
            in_force.engines[agent] = engine
        return engine

    def _in_force(self, deadline: Deadline) -> _InForce:
        """Return the policies in force, read again where somebody has changed them."""
        process = self._process.get()
        self._load_sources(process, deadline)
        generation = self._database.quick_number(policies.GENERATION, deadline)
        known = process.in_force
        if known is None or known.generation != generation:
            with self._database.read(deadline) as connection:
                process.in_force = known = _InForce(generation, policies.policies_in_force(connection))
        return known

    def _load_sources(self, process: _Process, deadline: Deadline) -> None:
        """Put the config's policies in force, once in each process."""
        if process.loaded:
            return
        if self._sources:
            with self._database.write(deadline) as connection:
                policies.store_sources(connection, self._sources)
        process.loaded = True

    def _agent(self, agent_id: str, deadline: Deadline) -> AgentDescriptor:
        known = self._process.get().agents
        if agent_id not in known:
            with self._database.read(deadline) as connection:
                agent = agents.find(connection, agent_id)
            if agent is None:
                raise RefusedError(f"There is no agent with the id {agent_id!r}", status=404)
            known[agent_id] = agent
        return known[agent_id]


class _Question:
    """One request on its way to a decision."""

    def __init__(self, request: EvaluateRequest, engine: Engine, host: HostAnswers) -> None:
        self.request = request
        self.host = host
        self.call = _call(request)
        self._engine = engine
        self._is_remembered = request.phase == "tool.before" and engine.remembers(request.tool_name, request.tool_tags)

    @property
    def needs_database(self) -> bool:
        """Whether a rule looks back, or this call is one that rules will look back for."""
        request = self.request
        return (
            self._is_remembered
            or self._engine.needs_past(request.phase, request.tool_name, request.tool_tags)
            or bool(self._metrics(allowed=True))
        )

    def outcome(self, connection: Any) -> Outcome:
        """Return what the rules say, with the past as it is in *connection*'s transaction."""
        facts = StoredFacts(connection, self._caller, self.host, self.call.metrics)
        return self._engine.evaluate(self.call, facts)

    def remember(self, connection: Any, decision: Decision) -> None:
        """Let the call count, and what was measured of it, as far as rules will ask for it."""
        if decision.allowed and self._is_remembered:
            history.remember_call(connection, self._caller, self.request.tool_name, self.request.tool_tags)
        history.remember_metrics(connection, self._caller, self._metrics(allowed=decision.allowed))

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
        return {key: value for key, value in self.request.metrics.items() if key in wanted}


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
    return EmbeddedControlPlane(Database(url), sources, Host(signals or {}, custom_functions or {}))


def _check_answer(status: object, responded_by: object) -> None:
    if status not in ("approved", "denied"):
        raise ConfigError("status", status, "'approved' or 'denied'")
    if not isinstance(responded_by, str) or not responded_by.strip():
        raise ConfigError("responded_by", responded_by, "a str that is not empty")


def _call(request: EvaluateRequest) -> Call:
    return Call(
        phase=request.phase,
        agent_slug="",
        tool_name=request.tool_name,
        tool_tags=request.tool_tags,
        args=request.args.value(),
        result=request.result.value() if request.result else None,
        actor=request.actor,
        run_tags=request.tags,
        subjects=request.subjects,
        metrics=request.metrics,
        now=datetime.now(timezone.utc),
    )
