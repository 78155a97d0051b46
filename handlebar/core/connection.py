"""How a client is connected: to a control plane, or to nobody."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Protocol

from attrs import evolve

from handlebar._plumbing import logs
from handlebar._plumbing.interrupts import is_interrupt
from handlebar._plumbing.time_limits import told
from handlebar.core.audit_trail import AuditTrail, RunEnvelope, SentEnvelope, UnsentEnvelope
from handlebar.core.config import HandlebarClientConfig, RunConfig
from handlebar.core.deciding import (
    NOT_GOVERNED,
    AlwaysAnswer,
    AskControlPlane,
    DecisionSource,
    StartLater,
    locked_down,
    stock_answer,
)
from handlebar.core.endpoints import endpoint_of, open_plane
from handlebar.core.open_telemetry import current_ids
from handlebar.core.plane import ApprovalStatus, ControlPlane, Lockdown, RunEndStatus, StartRequest
from handlebar.core.polling import SECONDS, NoPolling, Poller, Polling
from handlebar.core.registration import Registration
from handlebar.core.schema.agents import Tool
from handlebar.core.schema.governance import Decision
from handlebar.core.sinks import building
from handlebar.core.sinks.base import SinkStats
from handlebar.core.sinks.building import build_sinks
from handlebar.core.sinks.bus import SinkBus
from handlebar.core.sinks.config import HttpSinkConfig
from handlebar.errors import ControlPlaneError

_HOW_TO_CONNECT = (
    "Handlebar is inactive: no control plane is configured, or no key for it; tool calls get the %s answer. Do one of: "
    '(1) init(..., policies="policies.yaml") to decide in this process; '
    "(2) set HANDLEBAR_API_KEY for the hosted control plane; "
    "(3) set HANDLEBAR_API_ENDPOINT, e.g. sqlite:///handlebar.db, or https://… with a key."
)


class Connection(Protocol):
    """What a client has to do with the control plane, if there is one."""

    @property
    def agent_id(self) -> str | None:
        """The agent's id, None while it is not known."""
        ...

    @property
    def poller(self) -> Poller:
        """Who looks how the agent stands, between decisions."""
        ...

    def envelope(self, run: RunConfig) -> RunEnvelope:
        """Return where the events of *run* go."""
        ...

    def start(self, run: RunConfig) -> DecisionSource:
        """Tell that *run* starts; return who answers for it."""
        ...

    def end(self, run_id: str, status: RunEndStatus, *, drain: bool) -> None:
        """Tell that a run has ended; *drain* waits until its events are delivered."""
        ...

    def stay(self, run: RunConfig) -> None:
        """Tell that *run* is parked, which takes its time to live from it."""
        ...

    def drain(self) -> None:
        """Wait until what was emitted is delivered, or the sinks' time is over."""
        ...

    def approval_status(self, approval_id: str) -> ApprovalStatus | None:
        """Tell what has become of a question to a person, None where nobody can be asked."""
        ...

    def ready(self, timeout: float | None) -> bool:
        """Wait until the agent is registered; tell whether it is."""
        ...

    def register_tools(self, tools: Sequence[Tool]) -> None:
        """Make *tools* known."""
        ...

    def close(self) -> None:
        """Drain and let go."""
        ...

    def stats(self) -> SinkStats:
        """Return what became of the events."""
        ...


class Disconnected:
    """No control plane, by choice (mode off) or for want of one: every question gets *answer*."""

    agent_id: str | None = None

    def __init__(self, answer: Decision, *, dropped_as: str | None) -> None:
        self.poller: Poller = NoPolling()
        self._answer = answer
        self._dropped_as = dropped_as
        self._counter = count(1)
        self._dropped = 0

    def envelope(self, run: RunConfig) -> RunEnvelope:
        """Return an envelope that sends nothing."""
        return UnsentEnvelope(self._count)

    def start(self, run: RunConfig) -> DecisionSource:
        """Return what answers without asking."""
        return AlwaysAnswer(self._answer)

    def end(self, run_id: str, status: RunEndStatus, *, drain: bool) -> None:
        """Tell nobody."""

    def stay(self, run: RunConfig) -> None:
        """Tell nobody."""

    def drain(self) -> None:
        """There is nothing to drain."""

    def approval_status(self, approval_id: str) -> ApprovalStatus | None:
        """Nobody has been asked."""
        return None

    def ready(self, timeout: float | None) -> bool:
        """There is nothing to wait for."""
        return False

    def register_tools(self, tools: Sequence[Tool]) -> None:
        """Tell nobody."""

    def close(self) -> None:
        """There is nothing to let go."""

    def stats(self) -> SinkStats:
        """Return how many events had nowhere to go."""
        dropped = {self._dropped_as: self._dropped} if self._dropped_as and self._dropped else {}
        return SinkStats(dropped=dropped)

    def _count(self) -> None:
        self._dropped = next(self._counter)


class Connected:
    """A control plane, over HTTP or embedded; opens nothing before it is first needed."""

    def __init__(
        self, config: HandlebarClientConfig, plane: ControlPlane, *, usual_sink: HttpSinkConfig, poll_seconds: float
    ) -> None:
        self._plane = plane
        self._budget = config.decision_timeout
        self._unavailable = stock_answer(fail_closed=config.fail_closed)
        self._bus = SinkBus()
        self._bus.add(*build_sinks((usual_sink,) if config.sinks is None else config.sinks, plane))
        self._trail = AuditTrail(self._bus)
        self._registration = Registration(
            plane,
            config.agent,
            config.tools,
            budget=config.decision_timeout,
            on_registered=self._trail.agent_registered,
        )
        self.poller: Poller = NoPolling()
        if poll_seconds:
            self.poller = Polling(plane, self._registration, seconds=poll_seconds)

    @property
    def agent_id(self) -> str | None:
        """The agent's id, None while it is not known."""
        return self._registration.agent_id

    def envelope(self, run: RunConfig) -> RunEnvelope:
        """Return an envelope that sends through the trail."""
        return SentEnvelope(
            trail=self._trail,
            run_id=run.run_id,
            session_id=run.session_id,
            actor_external_id=run.actor.external_id if run.actor else None,
            otel=current_ids(),
        )

    def start(self, run: RunConfig) -> DecisionSource:
        """Tell the control plane, now or as soon as the agent is registered."""
        agent_id = self._registration.ensure()
        if agent_id is None:
            return StartLater(self._registration, self._unavailable, lambda late_id: self._started(run, late_id))
        return self._started(run, agent_id)

    def end(self, run_id: str, status: RunEndStatus, *, drain: bool) -> None:
        """Tell the control plane; with *drain*, then drain the sinks."""
        agent_id = self.agent_id
        if agent_id is not None:
            with _telling("end_run"):
                self._plane.end_run(agent_id, run_id, status, budget=self._budget)
        if drain:
            self._bus.drain()

    def stay(self, run: RunConfig) -> None:
        """Tell the control plane."""
        agent_id = self.agent_id
        if agent_id is not None:
            self._tell_start(evolve(run, run_ttl_ms=None), agent_id)

    def drain(self) -> None:
        """Drain the sinks."""
        self._bus.drain()

    def approval_status(self, approval_id: str) -> ApprovalStatus | None:
        """Ask the control plane."""
        with _telling("approval_status"):
            return self._plane.approval_status(approval_id, budget=self._budget)
        return None

    def ready(self, timeout: float | None) -> bool:
        """Register if this process has not tried yet."""
        return self._registration.ensure(timeout) is not None

    def register_tools(self, tools: Sequence[Tool]) -> None:
        """Tell the control plane, now if the agent is registered, else when it is."""
        known = self.agent_id is not None
        self._registration.update_tools(tools)
        agent_id = self._registration.ensure()
        if known and agent_id is not None:
            with _telling("register_tools"):
                self._plane.register_tools(agent_id, tools, budget=self._budget)

    def close(self) -> None:
        """Drain the sinks and let go of the control plane; may be called twice."""
        self.poller.close()
        self._registration.close()
        self._trail.give_up()
        self._bus.close()
        self._plane.close()

    def stats(self) -> SinkStats:
        """Return what became of the events, those that wait for the agent's id included."""
        sinks = self._bus.stats()
        return evolve(
            sinks,
            queued=sinks.queued + self._trail.queued,
            dropped={**sinks.dropped, **self._trail.dropped},
        )

    def _started(self, run: RunConfig, agent_id: str) -> DecisionSource:
        lockdown = self._tell_start(run, agent_id)
        return self.poller.watched(self._source_under(lockdown), run.actor.external_id if run.actor else None)

    def _source_under(self, lockdown: Lockdown) -> DecisionSource:
        if not lockdown.active:
            return AskControlPlane(self._plane, self._registration, self._unavailable, self._budget)
        decision = locked_down(lockdown)
        logs.warn_once_a_minute("lockdown", "%s", decision.message)
        return AlwaysAnswer(decision)

    def _tell_start(self, run: RunConfig, agent_id: str) -> Lockdown:
        """One attempt; where nobody answers, each decision of the run will find out for itself."""
        request = StartRequest(
            run_id=run.run_id,
            agent_id=agent_id,
            session_id=run.session_id,
            actor=run.actor,
            model=run.model,
            run_ttl_ms=run.run_ttl_ms,
        )
        with _telling("start_run"):
            return self._plane.start_run(request, budget=self._budget)
        return Lockdown()


def connection_for(config: HandlebarClientConfig) -> Connection:
    """
    Return how a client with *config* is connected; opens nothing.

    Raises:
        ConfigError: The endpoint cannot be used.

        PolicyError: A policy cannot be loaded.
    """
    if config.enforce_mode == "off":
        return Disconnected(NOT_GOVERNED, dropped_as=None)
    endpoint = endpoint_of(config)
    if endpoint is not None:
        usual_sink = building.OVER_HTTP if endpoint.is_http else building.IN_PROCESS
        usual_seconds = SECONDS if endpoint.is_http else 0.0
        seconds = usual_seconds if config.poll_seconds is None else config.poll_seconds
        return Connected(config, open_plane(config, endpoint), usual_sink=usual_sink, poll_seconds=seconds)
    stock = "fail-closed" if config.fail_closed else "fail-open"
    logs.warn_once_a_minute("inactive", _HOW_TO_CONNECT, stock)
    return Disconnected(stock_answer(fail_closed=config.fail_closed), dropped_as="inactive")


@contextmanager
def _telling(what: str) -> Iterator[None]:
    """Log and swallow the failure of something that is told to the control plane without an answer that counts."""
    try:
        yield
    except ControlPlaneError as error:
        logs.warn_once_a_minute(f"{what}:{error.reason}", "%s did not reach the control plane: %s", what, error)
    except Exception as error:  # a fault of ours must not break the agent
        if is_interrupt(error):
            raise
        logs.warn_once_a_minute(f"{what}:bug", "%s failed: %s", what, told(error))
