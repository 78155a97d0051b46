"""
Streams: what happens in a tenant, told as it happens, in whichever process it happens.

The outbox is looked at a few times a second, which costs microseconds; so a stream needs no memory of its own, and
goes on in any process from the last event that was seen.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import Row, select

from handlebar._plumbing import safe_json
from handlebar._plumbing.clock import Deadline, time_ns
from handlebar._plumbing.identifiers import uuid7
from handlebar.control.database import Database
from handlebar.control.moments import moment
from handlebar.control.tables import handoff_outbox
from handlebar.handoff.exchange import StreamEvent

POLL_SECONDS = 0.25

HEARTBEAT_SECONDS = 5.0
"""So often a listener gets a sign of life: only who writes to it notices that it has left."""

_SECONDS = 10.0
_MOST_AT_ONCE = 100
_NEWEST = "SELECT coalesce(max(seq), 0) FROM handoff_outbox"
_ROW = handoff_outbox.c


class Stream(Iterator[StreamEvent]):
    """
    Yields the events of a tenant; lives until it is closed, or ends.

    It may be closed from any thread; one thread at a time may wait for the next event. Raises UnreachableError where
    the database cannot be read.

    Args:
        channels: `status:<status>`, `packet:<id>`, `agent:<id>`: an event has to fit one of them; others say nothing.

        after: The id of the last event that was seen: what came since is told first. Without one, what comes from now.

        goes_on: Asked now and then; the stream ends where it says no.

        seconds: How long it lives at most.
    """

    def __init__(
        self,
        database: Database,
        tenant: str,
        channels: Sequence[str] = (),
        *,
        after: str | None = None,
        goes_on: Callable[[], bool] = lambda: True,
        seconds: float = math.inf,
    ) -> None:
        self._database = database
        self._tenant = tenant
        self._wanted = _filter(channels)
        self._goes_on = goes_on
        self._seconds = seconds
        self._closed = threading.Event()
        self._events = self._told(after)

    def __next__(self) -> StreamEvent:
        """Wait for the next event, or sign of life."""
        return next(self._events)

    def close(self) -> None:
        """End the stream, for whoever waits too; may be called twice."""
        self._closed.set()

    def _told(self, after: str | None) -> Iterator[StreamEvent]:
        position = self._position(after)
        end = Deadline.after(self._seconds)
        yield StreamEvent(str(position), "connected", _connected())
        heartbeat = Deadline.after(HEARTBEAT_SECONDS)
        while not (self._closed.is_set() or end.passed):
            newest = self._newest()
            rows = self._between(position, newest) if newest > position else ()
            for row in rows:
                if self._wanted(row):
                    yield StreamEvent(str(row.seq), row.type, _envelope(row))
            position = rows[-1].seq if len(rows) == _MOST_AT_ONCE else newest
            if heartbeat.passed:
                if not self._goes_on():
                    return
                yield StreamEvent(str(position), "ping", safe_json.encode({"timestamp": moment(time_ns() // 1000)}))
                heartbeat = Deadline.after(HEARTBEAT_SECONDS)
            if not rows:
                self._closed.wait(POLL_SECONDS)

    def _position(self, after: str | None) -> int:
        newest = self._newest()
        known = after is not None and after.isascii() and after.isdigit() and len(after) < 19
        # What was seen of another database says nothing of this one.
        return min(int(after or 0), newest) if known else newest

    def _newest(self) -> int:
        return self._database.quick_number(_NEWEST, Deadline.after(_SECONDS))

    def _between(self, position: int, newest: int) -> Sequence[Row[Any]]:
        """Return the tenant's next events; all that are numbered so far can be seen, for the outbox is in order."""
        mine = (_ROW.tenant == self._tenant, _ROW.seq > position, _ROW.seq <= newest)
        with self._database.read(Deadline.after(_SECONDS)) as connection:
            query = select(handoff_outbox).where(*mine).order_by(_ROW.seq).limit(_MOST_AT_ONCE)
            return connection.execute(query).all()


def _filter(channels: Sequence[str]) -> Callable[[Row[Any]], bool]:
    """Return whether a row of the outbox fits one of *channels*, or there are none that say anything."""
    wanted = {channel for channel in channels if channel.partition(":")[0] in ("status", "packet", "agent")}
    if not wanted:
        return lambda row: True
    return lambda row: not wanted.isdisjoint(_channels_of(row))


def _channels_of(row: Row[Any]) -> set[str]:
    return {f"status:{row.status}", f"packet:{row.packet_id}", *(f"agent:{agent}" for agent in row.agents)}


def _connected() -> str:
    return safe_json.encode({"connection_id": uuid7(), "message": "You are told what happens from now on"})


def _envelope(row: Row[Any]) -> str:
    """Return what is told of an event; its data are JSON text already."""
    head = safe_json.encode({"type": row.type, "packet_id": row.packet_id, "timestamp": moment(row.at)})
    return f'{head[:-1]},"data":{row.data}}}'
