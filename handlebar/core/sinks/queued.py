"""A sink with a queue: the agent's thread puts an event there, and a background thread delivers it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from attrs import frozen

from handlebar._plumbing.batching import Batcher, Courier
from handlebar._plumbing.counting import Tally
from handlebar._plumbing.forking import PerProcess
from handlebar.core.schema.events import AuditEvent
from handlebar.core.sinks.base import Sink, SinkStats

Item = tuple[str, AuditEvent]
"""An event, and the agent that it belongs to."""


class EventCourier(Courier[Item], Protocol):
    """Delivers events, and can say how that went."""

    failed: int
    last_error: str | None

    def close(self) -> None:
        """Let go of what it holds in this process; nothing is delivered afterwards."""
        ...


@frozen(kw_only=True)
class QueueSettings:
    """
    How a queue is run.

    Attributes:
        name: The thread's name.

        depth: So many events wait at most.

        interval: Seconds between two looks at the queue.

        timeout: Seconds that draining and closing may take.
    """

    name: str
    depth: int = 500
    interval: float = 1.0
    timeout: float = 5.0


class _Mailroom:
    """The queue of one process, and who delivers from it."""

    def __init__(self, make_courier: Callable[[Tally], EventCourier], settings: QueueSettings) -> None:
        self.tally = Tally()
        self.courier = make_courier(self.tally)
        self.batcher: Batcher[Item] = Batcher(
            self.courier,
            self.tally,
            name=settings.name,
            depth=settings.depth,
            interval=settings.interval,
            closing=settings.timeout,
        )


class QueuedSink(Sink):
    """
    Puts events on a queue, and lets a courier deliver them from a daemon thread; lives as long as its client.

    Thread-safe and fork-safe: each process has its own queue and thread, made when the first event comes.

    Args:
        make_courier: Makes who delivers, once a process; must not start a thread or open anything.

        settings: How the queue is run.
    """

    def __init__(self, make_courier: Callable[[Tally], EventCourier], settings: QueueSettings) -> None:
        self.settings = settings
        self._mailroom: PerProcess[_Mailroom] = PerProcess(lambda: _Mailroom(make_courier, settings))

    def put(self, item: Item) -> None:
        """Queue one event; never waits."""
        self._mailroom.get().batcher.put(item)

    def write_batch(self, agent_id: str, events: Sequence[AuditEvent]) -> None:
        """Queue *events*; never waits."""
        for event in events:
            self.put((agent_id, event))

    def drain(self, timeout: float | None = None) -> None:
        """Wait until what was queued before is delivered or given up, *timeout* seconds at most (5 by default)."""
        mailroom = self._mailroom.peek()
        if mailroom is not None:
            limit = self.settings.timeout
            mailroom.batcher.drain(limit if timeout is None else min(limit, timeout))

    def close_soon(self) -> None:
        """Begin to close; do not wait."""
        mailroom = self._mailroom.peek()
        if mailroom is not None:
            mailroom.batcher.close_soon()

    def close(self) -> None:
        """Deliver what is queued while there is time, and end the thread; what comes later is counted as dropped."""
        mailroom = self._mailroom.peek()
        if mailroom is not None:
            mailroom.batcher.close()
            mailroom.courier.close()

    def stats(self) -> SinkStats:
        """Return what became of the events of this process."""
        mailroom = self._mailroom.peek()
        if mailroom is None:
            return SinkStats()
        return SinkStats(
            queued=mailroom.tally.waiting,
            sent=mailroom.tally.sent,
            dropped=mailroom.tally.dropped,
            failed=mailroom.courier.failed,
            last_error=mailroom.courier.last_error,
        )


def by_agent(items: Sequence[Item]) -> dict[str, list[AuditEvent]]:
    """Return the events of each agent, in order."""
    groups: dict[str, list[AuditEvent]] = {}
    for agent_id, event in items:
        groups.setdefault(agent_id, []).append(event)
    return groups
