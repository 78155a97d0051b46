"""Delivers events to a control plane: encoded once, retried under one batch id, then given up and counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Protocol

from attrs import evolve, frozen

from handlebar._plumbing import logs
from handlebar._plumbing.batching import Pace
from handlebar._plumbing.clock import monotonic
from handlebar._plumbing.counting import Tally
from handlebar._plumbing.identifiers import uuid7
from handlebar._plumbing.retry import RetryPolicy
from handlebar.core import wire
from handlebar.core.plane import EncodedEvent
from handlebar.core.schema.events import AuditEvent, ErrorData, ErrorEvent, MessageRawCreatedEvent
from handlebar.core.sinks.queued import Item, by_agent
from handlebar.errors import ControlPlaneError, RefusedError

RETRY = RetryPolicy(retries=3, base=0.5, cap=10.0)
"""How a batch is retried: on network errors, 5xx and 429."""

PROBE_SECONDS = 60.0
"""After a 401 nothing is sent for so long; then one batch tries again."""

_REQUEST_SECONDS = 10.0
_SHORT_CONTENT = 8 * 1024


class Record(Protocol):
    """`ControlPlane.record`."""

    def __call__(self, agent_id: str, batch_id: str, events: Sequence[EncodedEvent], *, budget: float) -> None:
        """Store *events*, once for each *batch_id*; raises ControlPlaneError."""
        ...


@frozen
class _Batch:
    """Events of one agent on their way, with the JSON text of each; they are sent under one id."""

    agent_id: str
    events: tuple[AuditEvent, ...]
    encoded: tuple[EncodedEvent, ...]
    id: str

    def halves(self) -> tuple[_Batch, _Batch]:
        middle = len(self.events) // 2
        return self._part(slice(None, middle)), self._part(slice(middle, None))

    def _part(self, part: slice) -> _Batch:
        return _Batch(self.agent_id, self.events[part], self.encoded[part], uuid7())


class PlaneCourier:
    """
    Delivers events by *record*; belongs to one process, one thread at a time calls `deliver`.

    What was lost since it was last told is told with the next batch, as one `error` event.
    """

    def __init__(self, record: Record, tally: Tally, *, room: int, close: Callable[[], None]) -> None:
        self.room = room
        self.close = close
        self.failed = 0
        self.last_error: str | None = None
        self._record = record
        self._tally = tally
        self._silent_until = 0.0
        self._told: dict[str, int] = {}

    @property
    def refusal(self) -> str | None:
        """Why nothing is sent at present: `http_401`, until it is time for a probe."""
        return "http_401" if monotonic() < self._silent_until else None

    def deliver(self, items: Sequence[Item], pace: Pace) -> None:
        """Deliver *items*, and count each as sent or dropped."""
        for agent_id, events in by_agent(items).items():
            encoded = [self._encoded(event) for event in events]
            kept = [(event, one) for event, one in zip(events, encoded, strict=True) if one is not None]
            if kept:
                batch = _Batch(agent_id, tuple(e for e, _ in kept), tuple(one for _, one in kept), uuid7())
                self._send(batch, pace)

    def _encoded(self, event: AuditEvent) -> EncodedEvent | None:
        """Encode *event*; one that cannot be is counted, and told of like all that is lost."""
        try:
            return wire.encode_event(event)
        except Exception as error:  # one poisonous event must not cost the others
            self._lost("unencodable", 1, f"An event could not be encoded ({type(error).__name__})")
            return None

    def _send(self, batch: _Batch, pace: Pace) -> None:
        """Send *batch* until it is through or given up."""
        losses = dict(self._tally.dropped)
        news = self._news(batch, losses)
        for attempt in count():
            try:
                self._record(batch.agent_id, batch.id, (*news, *batch.encoded), budget=pace.at_most(_REQUEST_SECONDS))
            except ControlPlaneError as error:
                if not self._again(error, attempt, pace):
                    self._refused(batch, error, pace)
                    return
            else:
                self._told = losses
                self._tally.send(len(batch.events))
                return

    def _again(self, error: ControlPlaneError, attempt: int, pace: Pace) -> bool:
        """Whether to try once more; waits before it says so."""
        if isinstance(error, RefusedError) and error.status < 500 and error.status != 429:
            return False
        asked = error.retry_after if isinstance(error, RefusedError) else None
        return RETRY.allows(attempt) and pace.pause(RETRY.delay(attempt, asked))

    def _refused(self, batch: _Batch, error: ControlPlaneError, pace: Pace) -> None:
        """Make a batch smaller that is too large; drop one that is refused for another reason."""
        status = error.status if isinstance(error, RefusedError) else None
        if status == 413 and len(batch.events) > 1:
            for half in batch.halves():
                self._send(half, pace)
            return
        if status == 413 and (shorter := _shortened(batch)) is not None:
            self._send(shorter, pace)
            return
        if status == 401:
            self._silent_until = monotonic() + PROBE_SECONDS
        self.failed += 1
        self._lost("too_large" if status == 413 else error.reason, len(batch.events), str(error))

    def _lost(self, reason: str, number: int, words: str) -> None:
        self.last_error = words
        self._tally.drop(reason, number)
        logs.warn_once_a_minute(f"sink:{reason}", "Audit events were lost: %s", words)

    def _news(self, batch: _Batch, losses: dict[str, int]) -> tuple[EncodedEvent, ...]:
        """Return the event that tells of what was lost and has not been told."""
        fresh = {reason: str(number - self._told.get(reason, 0)) for reason, number in losses.items()}
        fresh = {reason: number for reason, number in fresh.items() if number != "0"}
        if not fresh:
            return ()
        last = batch.events[-1]
        data = ErrorData(scope="transport", message="Audit events were lost", details=fresh)
        return (wire.encode_event(ErrorEvent(time_ns=last.time_ns, run_id=last.run_id, data=data)),)


def _shortened(batch: _Batch) -> _Batch | None:
    """Return a batch of one message with its content cut; None where there is nothing to cut."""
    (event,) = batch.events
    if not isinstance(event, MessageRawCreatedEvent) or len(event.data.content) <= _SHORT_CONTENT:
        return None
    cut = evolve(event.data, content=event.data.content[:_SHORT_CONTENT], content_truncated=True)
    shorter = evolve(event, data=cut)
    return _Batch(batch.agent_id, (shorter,), (wire.encode_event(shorter),), uuid7())
