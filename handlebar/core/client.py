"""The client: one agent and its control plane, for as long as the process lives."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import evolve

from handlebar._plumbing.awaiting import awaitable
from handlebar._plumbing.forking import PerProcess
from handlebar._plumbing.identifiers import uuid7
from handlebar.core.active_runs import ActiveRuns
from handlebar.core.budgets import BudgetGrant
from handlebar.core.config import HandlebarClientConfig, RunConfig, as_tool
from handlebar.core.connection import connection_for
from handlebar.core.current import get_current_scope, prepare
from handlebar.core.deciding import AlwaysAnswer, DecisionSource
from handlebar.core.metrics.hooks import AgentMetricHookRegistry
from handlebar.core.minutes import Minutes
from handlebar.core.model_traffic import ModelTraffic
from handlebar.core.plane import ApprovalStatus, LockdownNotice, RunEndStatus
from handlebar.core.questions import Examiner
from handlebar.core.redaction import Redaction
from handlebar.core.resuming import config_from, session_of
from handlebar.core.run import Run
from handlebar.core.run_parts import RunParts
from handlebar.core.run_recorder import RunRecorder
from handlebar.core.schema.agents import Actor, ModelInfo, Tool
from handlebar.core.schema.events import AgentIdentity
from handlebar.core.schema.governance import FAILCLOSED_DECISION
from handlebar.core.scope import RunScope
from handlebar.core.stats import ClientStats, DecisionCounts
from handlebar.errors import ConfigError


class HandlebarClient:
    """
    Governs one agent. Lives as long as the process; make it with `init_sync` (or `await init`), once.

    Thread-safe and fork-safe: making a client starts no thread and opens no socket, so a server may fork after
    it; each process registers the agent when it first starts a run.
    """

    def __init__(self, config: HandlebarClientConfig) -> None:
        if not isinstance(config, HandlebarClientConfig):
            raise ConfigError("config", config, "a HandlebarClientConfig")
        self._config = config
        self._connection = connection_for(config)
        self._tools = {tool.name: tool for tool in config.tools}
        self._hooks = AgentMetricHookRegistry(config.metric_hooks)
        self._active: PerProcess[ActiveRuns] = PerProcess(ActiveRuns)
        self._decisions: PerProcess[DecisionCounts] = PerProcess(DecisionCounts)
        self._closing: PerProcess[threading.Event] = PerProcess(threading.Event)

    def __repr__(self) -> str:
        return f"<HandlebarClient {self._config.agent.slug!r}>"

    @classmethod
    def init_sync(cls, config: HandlebarClientConfig) -> HandlebarClient:
        """
        Make a client; returns at once.

        Raises:
            ConfigError: The endpoint cannot be used.

            PolicyError: A policy cannot be loaded.
        """
        return cls(config)

    @classmethod
    async def init(cls, config: HandlebarClientConfig) -> HandlebarClient:
        """Like `init_sync`; policies are read in a worker thread."""
        from asyncio import to_thread  # 30 ms to import, and only async callers get here

        return await to_thread(cls.init_sync, config)

    @property
    def config(self) -> HandlebarClientConfig:
        """What the client was made with."""
        return self._config

    def ready_sync(self, timeout: float | None = None) -> bool:
        """
        Register the agent if this process has not tried yet; tell whether it is registered.

        Args:
            timeout: Seconds to wait for an attempt that another thread is making; None for the decision timeout.
        """
        return self._connection.ready(timeout)

    def register_tools_sync(self, tools: Sequence[Any]) -> None:
        """
        Replace the agent's tools: `Tool` objects, guarded tools, or callables.

        Raises:
            ConfigError: One of them has no name.
        """
        described = tuple(as_tool(tool) for tool in tools)
        self._tools = {tool.name: tool for tool in described}
        self._connection.register_tools(described)

    def start_run_sync(self, config: RunConfig) -> Run:
        """
        Start a run, and tell the control plane; the same run id while the run is active gives the same run.

        The run does not become current by this; use `client.run(...)` or `with_run` for that.
        """
        return self._start(config, resumed=False)

    def _start(self, config: RunConfig, *, resumed: bool) -> Run:
        active = self._active.get()
        known = active.get(config.run_id)
        if known is not None and not known.is_ended:
            return known
        scope = get_current_scope()
        filled = config if resumed else scope.filled(config)
        source = self._deny if scope.actor_failed and filled.actor is None else self._connection.start
        run = self._new_run(filled if filled.actor else evolve(filled, actor=self._config.actor), source)
        kept = active.add(run)
        if kept is run:
            if not resumed:
                run.begin(AgentIdentity(self._connection.agent_id, self._config.agent.name), scope.identity())
            scope.opened(run, lambda: active.get(run.run_id) is run)
        return kept

    def run(
        self,
        run_id: str | None = None,
        *,
        session_id: str | None = None,
        actor: Actor | str | None = None,
        model: ModelInfo | str | None = None,
        tags: Mapping[str, str] | None = None,
        run_ttl_ms: float | None = None,
        context: Mapping[str, Any] | None = None,
        resume: object = None,
    ) -> RunScope:
        """
        Return a `with` (or `async with`) block that starts a run, makes it current, and ends it.

        Args:
            run_id: A new UUID (version 7) where it is None.

            session_id: The conversation that the run belongs to.

            actor: Whom the run acts for; a str is an external id. The client's actor where it is None.

            model: The language model; a str is its name.

            tags: Words on the run, for rules and for finding it again.

            run_ttl_ms: Milliseconds after which the run ends by itself.

            context: Whatever your own code wants to find at `run.context`.

            resume: A hand-off packet: the run belongs to the session of the run that made it.

        Raises:
            ConfigError: An argument has a value that is not allowed.
        """
        if resume is not None and session_id is None:
            session_id = session_of(resume)
        config = RunConfig(
            run_id=uuid7() if run_id is None else run_id,
            session_id=session_id,
            actor=actor,
            model=model,
            tags=tags,
            run_ttl_ms=run_ttl_ms,
            context=context or {},
        )
        return RunScope(lambda: self._go_on(config, resume))

    def resume_run(self, token: str) -> RunScope:
        """
        Return a `with` (or `async with`) block that goes on with a parked run, in whichever process.

        Make the call that was waiting again: it finds the person's answer.

        Args:
            token: The `resume_token` of an ApprovalPendingError.

        Raises:
            ConfigError: It is no such token.
        """
        config = config_from(token)
        return RunScope(lambda: self._start(config, resumed=True))

    def approval_status_sync(self, approval_id: str) -> ApprovalStatus | None:
        """
        Tell what has become of a question to a person; None where nobody can be asked.

        Args:
            approval_id: The `approval_id` of an ApprovalPendingError.
        """
        return self._connection.approval_status(approval_id)

    def stats(self) -> ClientStats:
        """Return what this client has done in this process: events by fate, decisions by verdict."""
        events = self._connection.stats()
        return ClientStats(
            events_queued=events.queued,
            events_sent=events.sent,
            events_dropped=events.dropped,
            events_failed=events.failed,
            decisions=self._decisions.get().by_verdict(),
            last_error=events.last_error,
        )

    @property
    def lockdowns(self) -> list[LockdownNotice]:
        """
        The lockdowns of this agent that this process has been told of, those of single actors and tools too.

        They are looked for every few seconds (`poll_seconds`) once a run has started; calls that one of them forbids
        are blocked without asking. Empty where nobody looks: embedded, every decision finds out for itself.
        """
        return list(self._connection.poller.lockdowns)

    @property
    def budgets(self) -> list[BudgetGrant]:
        """
        What is left of this agent's budgets, and of those of the actors of its latest runs, less what was used since.

        For information, such as to plan ahead: limits are kept by the control plane, at each decision. Empty where
        nobody asks, as for `lockdowns`.
        """
        return self._connection.poller.budgets

    def drain_sync(self) -> None:
        """Wait until the events so far are delivered or given up, as long as the sinks allow."""
        self._connection.drain()

    def shutdown_sync(self) -> None:
        """Send what is queued, five seconds at most, and let go of all resources; may be called twice."""
        self._closing.get().set()
        self._connection.close()
        self._active.get().close_soon()

    ready = awaitable(ready_sync)
    register_tools = awaitable(register_tools_sync)
    start_run = awaitable(start_run_sync, first=prepare)
    approval_status = awaitable(approval_status_sync)
    drain = awaitable(drain_sync)
    shutdown = awaitable(shutdown_sync)

    def _go_on(self, config: RunConfig, packet: object) -> Run:
        """Start a run, and record which hand-off *packet* it goes on with, if any."""
        run = self.start_run_sync(config)
        packet_id = getattr(packet, "id", None)
        if packet_id is not None:
            run.record_takeover(str(packet_id))
        return run

    def _deny(self, config: RunConfig) -> DecisionSource:
        """Nobody can tell whom the run acts for, so policy cannot be asked about it."""
        source = self._connection.start(config)
        return AlwaysAnswer(FAILCLOSED_DECISION) if self._config.fail_closed else source

    def _new_run(self, config: RunConfig, start: Callable[[RunConfig], DecisionSource]) -> Run:
        recorder, minutes = RunRecorder(self._connection.envelope(config)), Minutes()
        parts = RunParts(
            agent=self._config.agent.slug,
            source=start(config),
            enforced=self._config.enforce_mode == "enforce",
            recorder=recorder,
            examiner=Examiner(self._hooks, self._config.subject_registry, recorder.hook_failed),
            traffic=ModelTraffic(recorder, Redaction(self._config.redactors, recorder.redactor_failed), minutes),
            minutes=minutes,
            registered_tags=self._registered_tags,
            on_decision=lambda decision: self._decisions.get().add(decision),
            on_end=self._run_ended,
            on_park=self._run_parked,
            approval_status=self._connection.approval_status,
            pause=lambda seconds: not self._closing.get().wait(seconds),
        )
        return Run(config, parts)

    def _run_ended(self, run: Run, status: RunEndStatus) -> None:
        self._active.get().remove(run)
        self._connection.end(run.run_id, status, drain=not get_current_scope().outlives_runs)

    def _run_parked(self, run: Run, config: RunConfig) -> None:
        self._active.get().remove(run)
        if config.run_ttl_ms is not None:
            self._connection.stay(config)
        self._connection.drain()

    def _registered_tags(self, name: str) -> tuple[str, ...]:
        tool: Tool | None = self._tools.get(name)
        return (tool.tags or ()) if tool else ()


Handlebar = HandlebarClient
"""The name that the documentation's examples use."""
