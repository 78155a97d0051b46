"""The bus: every sink gets every event, and none is in another's way."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from handlebar.core import Sink
from handlebar.core.schema.events import AuditEvent
from handlebar.core.sinks.bus import SinkBus
from handlebar.core.sinks.queued import QueuedSink, QueueSettings
from handlebar.core.sinks.threaded import ThreadedSink
from tests.core.sinks.events import an_event


class Kept(Sink):
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.got: list[AuditEvent] = []

    def write_batch(self, agent_id: str, events: Sequence[AuditEvent]) -> None:
        self.got.extend(events)


class Broken(Sink):
    """Raises whatever it is asked, *kind* with words that must not be told."""

    def __init__(self, kind: type[Exception] = ValueError) -> None:
        self._kind = kind

    def _raise(self, *_: object) -> None:
        raise self._kind("the-secret")

    init = write_batch = drain = close = _raise


class SoftTimeLimitExceeded(Exception):
    """What Celery raises; it is known by its name."""


def a_bus(*sinks: Sink) -> SinkBus:
    """Return a bus with *sinks*."""
    bus = SinkBus()
    bus.add(*sinks)
    return bus


def test_every_sink_gets_every_event_in_order() -> None:
    """Whichever kind of sink it is."""
    first, second = Kept(), Kept()
    bus = a_bus(first, ThreadedSink(second))
    events = [an_event(number) for number in range(120)]
    for event in events:
        bus.emit("agent-1", event)
    bus.close()
    assert events == first.got == second.got
    assert 240 == bus.stats().sent


def test_a_broken_sink_is_nobody_elses_problem(caplog: pytest.LogCaptureFixture) -> None:
    """Row 21: its events are counted, its failure is told once and without its words, the other gets everything."""
    kept = Kept()
    bus = a_bus(Broken(), kept)
    for number in range(60):
        bus.emit("agent-1", an_event(number))
        bus.drain()
    bus.close()
    assert 60 == len(kept.got)
    assert (60, {"sink": 60}, 0) == (bus.stats().sent, bus.stats().dropped, bus.stats().queued)
    assert "ValueError in _raise" in str(bus.stats().last_error)
    assert "the-secret" not in caplog.text
    assert len(caplog.records) <= 2


def test_a_hanging_sink_delays_neither_the_caller_nor_the_other_sink() -> None:
    """Row 21: draining waits for it as long as the limit, no longer."""
    release = threading.Event()

    class Hanging(Sink):
        def write_batch(self, agent_id: str, events: Sequence[AuditEvent]) -> None:
            release.wait(60)

    kept = Kept()
    bus = a_bus(_impatient(Hanging(), 0.3), _impatient(kept, 0.3))
    began = time.monotonic()
    for number in range(1000):
        bus.emit("agent-1", an_event(number))
    bus.drain()
    assert time.monotonic() - began < 4
    assert [an_event(999)] == kept.got[-1:]
    release.set()
    bus.close()


def _impatient(sink: Sink, seconds: float) -> QueuedSink:
    threaded = ThreadedSink(sink)
    threaded.settings = QueueSettings(name="handlebar-sink", timeout=seconds)
    return threaded


def test_a_queued_sink_that_raises_when_it_is_put_to() -> None:
    """Row 21: a sink of the user's may derive from ours; the caller does not notice."""

    class Raising(ThreadedSink):
        def put(self, item: Any) -> None:
            raise OSError

    kept = Kept()
    bus = a_bus(Raising(Kept()), kept)
    bus.emit("agent-1", an_event(1))
    bus.close()
    assert [an_event(1)] == kept.got


def test_what_celery_throws_in_passes_through() -> None:
    """Row 7: a soft time limit that strikes within a drain reaches the task."""
    bus = a_bus(Broken(SoftTimeLimitExceeded))
    bus.emit("agent-1", an_event(1))
    with pytest.raises(SoftTimeLimitExceeded):
        bus.drain()


def test_a_bus_without_sinks() -> None:
    """Events go nowhere, and nobody waits."""
    bus = a_bus()
    bus.emit("agent-1", an_event(1))
    bus.drain()
    bus.close()
    assert 0 == bus.stats().sent


def test_many_drain_at_once() -> None:
    """Row 5: eight threads that drain while others emit and one closes; nobody hangs, and the books balance."""
    bus = a_bus(Kept(), Kept())

    def work() -> None:
        for number in range(50):
            bus.emit("agent-1", an_event(number))
            bus.drain()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(0.02)
    bus.close()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    bus.drain()
    stats = bus.stats()
    assert (800, 0) == (stats.sent + sum(stats.dropped.values()), stats.queued)
