"""Sinks that write by themselves, given a queue and a thread, so that no agent waits for them."""

from __future__ import annotations

from collections.abc import Sequence

from handlebar._plumbing import logs
from handlebar._plumbing.awaiting import settle
from handlebar._plumbing.batching import Pace
from handlebar._plumbing.counting import Tally
from handlebar._plumbing.time_limits import told
from handlebar.core.sinks.base import Sink
from handlebar.core.sinks.queued import Item, QueuedSink, QueueSettings, by_agent

_ROOM = 50


class SinkCourier:
    """Hands batches to a sink, once each; belongs to one process."""

    room = _ROOM
    refusal: str | None = None

    def __init__(self, sink: Sink, tally: Tally) -> None:
        self.failed = 0
        self.last_error: str | None = None
        self._sink = sink
        self._tally = tally
        self._ready = False

    def deliver(self, items: Sequence[Item], pace: Pace) -> None:
        """Hand *items* to the sink, and count each as sent or dropped."""
        for agent_id, events in by_agent(items).items():
            try:
                self._get_ready()
                settle(self._sink.write_batch(agent_id, events))
            except Exception as error:  # a sink may be anybody's code
                self._failed(error)
                self._tally.drop("sink", len(events))
            else:
                self._tally.send(len(events))

    def close(self) -> None:
        """Close the sink."""
        try:
            settle(self._sink.close())
        except Exception as error:  # as above
            self._failed(error)

    def _get_ready(self) -> None:
        if not self._ready:
            settle(self._sink.init())
            self._ready = True

    def _failed(self, error: Exception) -> None:
        self.failed += 1
        self.last_error = told(error)
        name = type(self._sink).__name__
        logs.warn_once_a_minute(f"sink:{name}", "The sink %s failed: %s", name, self.last_error)


class ThreadedSink(QueuedSink):
    """Gives *sink* a queue and a daemon thread; lives as long as its client."""

    def __init__(self, sink: Sink, *, interval: float = 1.0) -> None:
        super().__init__(
            lambda tally: SinkCourier(sink, tally), QueueSettings(name="handlebar-sink", interval=interval)
        )
        self._sink = sink

    def drain(self, timeout: float | None = None) -> None:
        """Wait as `QueuedSink` does, then let the sink do the same."""
        super().drain(timeout)
        settle(self._sink.drain())
