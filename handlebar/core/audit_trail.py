"""From a hook to the sinks: fills the envelope of an event, and holds events back until the agent has an id."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from attrs import frozen

from handlebar._plumbing import logs
from handlebar._plumbing.clock import time_ns
from handlebar._plumbing.counting import Tally
from handlebar._plumbing.forking import PerProcess
from handlebar._plumbing.interrupts import is_interrupt
from handlebar._plumbing.time_limits import told
from handlebar.core.open_telemetry import current_ids
from handlebar.core.schema.events import AuditEvent, OtelIds
from handlebar.core.sinks.bus import SinkBus

MAX_WAITING = 500
"""Events that wait for the agent's id; the oldest are dropped for newer ones."""


class _Waiting:
    """What one process holds back."""

    def __init__(self) -> None:
        self.agent_id: str | None = None
        self.events: deque[AuditEvent] = deque()
        self.tally = Tally()


class AuditTrail:
    """
    Hands events to the sinks; lives as long as the client.

    Thread-safe. Before `agent_registered` was called in this process, up to 500 events wait.
    """

    def __init__(self, bus: SinkBus) -> None:
        self._bus = bus
        self._waiting: PerProcess[_Waiting] = PerProcess(_Waiting)

    def emit(self, event: AuditEvent) -> None:
        """Take *event*; never blocks, never raises an Exception."""
        waiting = self._waiting.get()
        if waiting.agent_id is not None and not waiting.events:
            self._bus.emit(waiting.agent_id, event)
            return
        waiting.events.append(event)
        self._bound(waiting)
        # The id may have come between the look and the append.
        self._flush(waiting)

    def agent_registered(self, agent_id: str) -> None:
        """Send what has waited, and all that comes, under *agent_id*."""
        waiting = self._waiting.get()
        waiting.agent_id = agent_id
        self._flush(waiting)

    def give_up(self) -> None:
        """Count what still waits as dropped: the client is shutting down and the agent has no id."""
        waiting = self._waiting.get()
        while _take(waiting.events) is not None:
            waiting.tally.drop("unregistered")

    def turn_away(self, reason: str) -> None:
        """Count an event as dropped that is not even made."""
        self._waiting.get().tally.drop(reason)

    @property
    def queued(self) -> int:
        """How many events wait for the agent's id."""
        return len(self._waiting.get().events)

    @property
    def dropped(self) -> Mapping[str, int]:
        """How many events were dropped before they reached a sink, by reason."""
        return self._waiting.get().tally.dropped

    def _bound(self, waiting: _Waiting) -> None:
        if len(waiting.events) > MAX_WAITING and _take(waiting.events) is not None:
            waiting.tally.drop("unregistered")

    def _flush(self, waiting: _Waiting) -> None:
        while waiting.agent_id is not None:
            event = _take(waiting.events)
            if event is None:
                return
            self._bus.emit(waiting.agent_id, event)


class RunEnvelope(Protocol):
    """Puts what happened in one run into events."""

    def emit(
        self, kind: type[AuditEvent], make_data: Callable[[], Any], *, step_index: int | None, **more: Any
    ) -> None:
        """Make the event and send it on; never raises an Exception."""
        ...

    def turn_away(self, reason: str) -> None:
        """Make and send nothing; count that there was something to record."""
        ...


@frozen(kw_only=True)
class SentEnvelope:
    """
    The envelope of a run whose events go to the sinks.

    Attributes:
        otel: The OpenTelemetry span that the run was started in, for events that happen outside of any.
    """

    trail: AuditTrail
    run_id: str
    session_id: str | None = None
    actor_external_id: str | None = None
    otel: OtelIds | None = None

    def emit(
        self, kind: type[AuditEvent], make_data: Callable[[], Any], *, step_index: int | None, **more: Any
    ) -> None:
        """Make the event and send it on; never raises an Exception."""
        try:
            event = kind(
                time_ns=time_ns(),
                run_id=self.run_id,
                session_id=self.session_id,
                step_index=step_index,
                actor_external_id=self.actor_external_id,
                otel=current_ids() or self.otel,
                data=make_data(),
                **more,
            )
            self.trail.emit(event)
        except Exception as error:  # recording must not break the agent
            if is_interrupt(error):
                raise
            logs.warn_once_a_minute("emit:bug", "An audit event was lost: %s", told(error))

    def turn_away(self, reason: str) -> None:
        """Make and send nothing; count that there was something to record."""
        self.trail.turn_away(reason)


@frozen
class UnsentEnvelope:
    """The envelope of a run whose events go nowhere: mode off, and clients that are inactive."""

    on_event: Callable[[], None]

    def emit(
        self, kind: type[AuditEvent], make_data: Callable[[], Any], *, step_index: int | None, **more: Any
    ) -> None:
        """Make nothing; only tell that there was something."""
        self.on_event()

    def turn_away(self, reason: str) -> None:
        """As every event: it goes nowhere anyway."""
        self.on_event()


def _take(events: deque[AuditEvent]) -> AuditEvent | None:
    try:
        return events.popleft()
    except IndexError:
        return None
