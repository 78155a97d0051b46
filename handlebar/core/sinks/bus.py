"""Hands each event to every sink; one sink's failure never reaches another sink or the caller."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from handlebar._plumbing import logs
from handlebar._plumbing.clock import Deadline
from handlebar._plumbing.interrupts import is_interrupt
from handlebar._plumbing.time_limits import told
from handlebar.core.schema.events import AuditEvent
from handlebar.core.sinks.base import Sink, SinkStats
from handlebar.core.sinks.queued import QueuedSink
from handlebar.core.sinks.threaded import ThreadedSink


class SinkBus:
    """
    The sinks of one client; lives as long as it does.

    Thread-safe once the sinks have been added. A sink that has no queue of its own is given one.
    """

    def __init__(self) -> None:
        self._sinks: tuple[QueuedSink, ...] = ()

    def add(self, *sinks: Sink) -> None:
        """Hand events to *sinks* too, from now on."""
        self._sinks += tuple(sink if isinstance(sink, QueuedSink) else ThreadedSink(sink) for sink in sinks)

    def init(self) -> None:
        """Nothing has to be made ready: queues and threads are made by the first event."""

    def emit(self, agent_id: str, event: AuditEvent) -> None:
        """Hand *event* to every sink; never waits, raises nothing of a sink's."""
        item = (agent_id, event)
        for sink in self._sinks:
            try:
                sink.put(item)
            except Exception as error:  # a sink may be anybody's code
                _failed(error)

    def drain(self) -> None:
        """Wait until all sinks have delivered what they had; as long as the most patient of them waits, at most."""
        deadline = Deadline.after(max((sink.settings.timeout for sink in self._sinks), default=0.0))
        for sink in self._sinks:
            _isolated(lambda sink=sink: sink.drain(deadline.remaining()))  # type: ignore[misc]  # a default is no type

    def close(self) -> None:
        """Close all sinks, at the same time; may be called twice."""
        for sink in self._sinks:
            _isolated(sink.close_soon)
        for sink in self._sinks:
            _isolated(sink.close)

    def stats(self) -> SinkStats:
        """Return what became of the events, over all sinks."""
        return _sum([sink.stats() for sink in self._sinks])


def _sum(all_stats: Sequence[SinkStats]) -> SinkStats:
    dropped: Counter[str] = Counter()
    for stats in all_stats:
        dropped.update(stats.dropped)
    errors = [stats.last_error for stats in all_stats if stats.last_error]
    return SinkStats(
        queued=sum(stats.queued for stats in all_stats),
        sent=sum(stats.sent for stats in all_stats),
        dropped=dict(dropped),
        failed=sum(stats.failed for stats in all_stats),
        last_error=errors[-1] if errors else None,
    )


def _isolated(action: Callable[[], None]) -> None:
    try:
        action()
    except Exception as error:  # a sink may be anybody's code
        _failed(error)


def _failed(error: Exception) -> None:
    if is_interrupt(error):
        raise error
    logs.warn_once_a_minute("sink", "A sink failed: %s", told(error))
