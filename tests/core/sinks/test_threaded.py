"""Sinks that write by themselves, on a thread of ours."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence

import pytest

from handlebar.core import Sink
from handlebar.core.schema.events import AuditEvent
from handlebar.core.sinks.threaded import ThreadedSink
from tests.core.sinks.events import an_event, events
from tests.support.forks import in_child
from tests.support.waiting import eventually


class Noting(Sink):
    """Notes each call of its methods, and the thread that made it."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.threads: set[str] = set()
        self.sizes: list[tuple[str, int]] = []

    def init(self) -> None:
        self._note("init")

    def write_batch(self, agent_id: str, events: Sequence[AuditEvent]) -> None:
        self._note("write")
        self.sizes.append((agent_id, len(events)))

    def drain(self) -> None:
        self._note("drain")

    def close(self) -> None:
        self._note("close")

    def _note(self, name: str) -> None:
        self.calls.append(name)
        self.threads.add(threading.current_thread().name)


def test_a_sink_is_made_ready_once_and_closed_once() -> None:
    """Writing comes between; draining reaches it too."""
    noting = Noting()
    sink = ThreadedSink(noting)
    for _ in range(2):
        sink.write_batch("agent-1", events(1))
        sink.drain()
    sink.close()
    assert ["init", "write", "drain", "write", "drain", "close"] == noting.calls


def test_a_sink_without_events_is_not_made_ready() -> None:
    """Nor written to, nor closed: nothing was opened."""
    noting = Noting()
    sink = ThreadedSink(noting)
    sink.close()
    assert [] == noting.calls


def test_batches_are_of_one_agent_and_of_fifty_at_most() -> None:
    """In order, from our thread, not the caller's."""
    noting = Noting()
    sink = ThreadedSink(noting)
    sink.write_batch("agent-1", events(60))
    sink.write_batch("agent-2", events(1))
    sink.close()
    assert [("agent-1", 50), ("agent-1", 10), ("agent-2", 1)] == noting.sizes
    assert "handlebar-sink" in noting.threads


def test_methods_may_be_coroutine_functions() -> None:
    """All four of them."""
    called: list[str] = []

    class Awaitable(Sink):
        async def init(self) -> None:
            called.append("init")

        async def write_batch(self, agent_id: str, events: Sequence[AuditEvent]) -> None:
            await asyncio.sleep(0)
            called.append(f"{len(events)}")

        async def drain(self) -> None:
            called.append("drain")

        async def close(self) -> None:
            called.append("close")

    sink = ThreadedSink(Awaitable())
    sink.write_batch("agent-1", events(3))
    sink.drain()
    sink.close()
    assert ["init", "3", "drain", "close"] == called


def test_a_sink_that_cannot_be_made_ready_is_tried_again() -> None:
    """Row 21: what came meanwhile is counted."""

    class Late(Noting):
        def init(self) -> None:
            super().init()
            if self.calls.count("init") == 1:
                raise ConnectionError

    noting = Late()
    sink = ThreadedSink(noting)
    for _ in range(2):
        sink.write_batch("agent-1", events(2))
        sink.drain()
    sink.close()
    assert (2, {"sink": 2}, 1) == (sink.stats().sent, sink.stats().dropped, sink.stats().failed)


def test_a_sink_that_overrides_nothing_says_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    """Each event is counted."""
    sink = ThreadedSink(Sink())
    sink.write_batch("agent-1", events(2))
    sink.close()
    assert {"sink": 2} == sink.stats().dropped
    assert "NotImplementedError" in caplog.text


def test_a_sink_that_emits_and_drains_ends() -> None:
    """Rows 6 and 21: it recurses into us; what it emits is an event like any other, sent or counted."""

    class Recursing(Noting):
        def write_batch(self, agent_id: str, events: Sequence[AuditEvent]) -> None:
            super().write_batch(agent_id, events)
            if len(self.sizes) < 3:
                sink.put((agent_id, an_event(0)))
                sink.drain(5.0)

    sink = ThreadedSink(Recursing(), interval=0.05)
    sink.write_batch("agent-1", events(1))
    assert eventually(lambda: sink.stats().sent == 3)
    sink.close()
    assert 0 == sink.stats().queued


def test_a_sink_that_emits_while_it_is_closed() -> None:
    """Rows 5 and 21: what it emits then is not left waiting."""

    class Recursing(Noting):
        def write_batch(self, agent_id: str, events: Sequence[AuditEvent]) -> None:
            super().write_batch(agent_id, events)
            if len(self.sizes) < 3:
                sink.put((agent_id, an_event(0)))

    sink = ThreadedSink(Recursing())
    sink.write_batch("agent-1", events(1))
    sink.close()
    assert eventually(lambda: sink.stats().queued == 0)
    assert sink.stats().sent + sum(sink.stats().dropped.values()) >= 2


def test_a_logging_handler_that_emits_while_we_log() -> None:
    """Row 6: a failing sink is logged, the handler emits, that fails too: no circle, and all is counted."""

    class Failing(Sink):
        def write_batch(self, agent_id: str, events: Sequence[AuditEvent]) -> None:
            raise OSError

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            sink.put(("agent-1", an_event(1)))

    sink = ThreadedSink(Failing())
    handler = Handler()
    logging.getLogger("handlebar").addHandler(handler)
    try:
        sink.write_batch("agent-1", events(3))
        sink.drain()
        sink.close()
    finally:
        logging.getLogger("handlebar").removeHandler(handler)
    assert ({"sink": 4}, 0) == (sink.stats().dropped, sink.stats().queued)


def test_a_child_makes_the_sink_ready_for_itself() -> None:
    """Row 1: and writes its own events only."""
    noting = Noting()
    sink = ThreadedSink(noting)
    sink.write_batch("agent-1", events(2))

    def child() -> str:
        noting.calls.clear()
        noting.sizes.clear()
        sink.write_batch("agent-1", events(3))
        sink.close()
        return f"{noting.calls} {noting.sizes}"

    assert "['init', 'write', 'close'] [('agent-1', 3)]" == in_child(child)
    sink.close()
    assert [("agent-1", 2)] == noting.sizes
