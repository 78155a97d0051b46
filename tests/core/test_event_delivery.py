"""Audit events over HTTP: each is delivered once, or counted; nobody waits for it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlebar._plumbing.retry import RetryPolicy
from handlebar.core import MessageRawCreatedEvent, create_http_sink
from handlebar.core.schema.events import AuditEvent, ErrorData, ErrorEvent, MessageRawCreatedData
from handlebar.core.sinks import delivering
from handlebar.core.sinks.queued import QueuedSink
from tests.support.http_server import (
    Answer,
    BrokenChunked,
    Chunked,
    EmptyAnswer,
    HalfAnswer,
    Hang,
    Html,
    HttpServer,
    Redirect,
    ResetBefore,
    ResetInAnswer,
    StoreThenReset,
)
from tests.support.waiting import eventually

EVENTS = "/v1/runs/events"


@pytest.fixture(name="server")
def _server() -> Iterator[HttpServer]:
    with HttpServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The waits between attempts are as many as ever, and a hundredth as long."""
    monkeypatch.setattr(delivering, "RETRY", RetryPolicy(retries=3, base=0.005, cap=0.1))


@pytest.fixture(name="sink")
def _sink(server: HttpServer) -> Iterator[QueuedSink]:
    sink = create_http_sink(server.url, "key")
    yield sink
    sink.close()


def an_event(number: int) -> AuditEvent:
    """Return an event that can be told from others by its message."""
    return ErrorEvent(time_ns=number * 1000, run_id="run-1", data=ErrorData(scope="agent", message=str(number)))


def a_message(content: str) -> AuditEvent:
    """Return an event of some size."""
    data = MessageRawCreatedData(message_id="m", role="user", kind="input", content=content, content_truncated=False)
    return MessageRawCreatedEvent(time_ns=0, run_id="run-1", data=data)


def put(sink: QueuedSink, count: int, start: int = 0) -> None:
    """Emit events numbered from *start*."""
    sink.write_batch("agent-1", [an_event(number) for number in range(start, start + count)])


def stored(server: HttpServer) -> list[int]:
    """Return the numbers of the events that the server has stored."""
    return [int(event["data"]["message"]) for event in server.events() if event["data"]["scope"] == "agent"]


def test_events_arrive_in_order_in_batches_of_fifty(server: HttpServer, sink: QueuedSink) -> None:
    """Each batch has an id of its own; the connection is kept."""
    put(sink, 120)
    sink.drain()
    assert list(range(120)) == stored(server)
    assert [50, 50, 20] == [len(request.json()["events"]) for request in server.requests]
    assert 3 == len(set(server.batches))
    assert (120, 0, {}) == (sink.stats().sent, sink.stats().queued, sink.stats().dropped)


def test_each_agent_has_batches_of_its_own(server: HttpServer, sink: QueuedSink) -> None:
    """Two clients may share a sink."""
    for number in range(6):
        sink.write_batch(f"agent-{number % 2}", [an_event(number)])
    sink.drain()
    told = [(request.json()["agentId"], len(request.json()["events"])) for request in server.requests]
    assert [("agent-0", 3), ("agent-1", 3)] == told


PASSING = [
    Answer(500),
    Answer(502),
    Answer(503),
    Answer(504),
    Answer(429),
    ResetBefore(),
    ResetInAnswer(),
    HalfAnswer(),
    EmptyAnswer(),
    BrokenChunked(),
    StoreThenReset(),
]


@pytest.mark.parametrize("behaviour", PASSING, ids=lambda each: f"{type(each).__name__}{getattr(each, 'status', '')}")
def test_a_passing_fault_costs_nothing(server: HttpServer, sink: QueuedSink, behaviour: Any) -> None:
    """Rows 9, 12 and 19: retried under the same batch id, stored once, although the server may have had it."""
    server.behave(behaviour, path=EVENTS, times=3)
    put(sink, 5)
    sink.drain()
    assert list(range(5)) == stored(server)
    assert 4 == len(server.batches)
    assert 1 == len(set(server.batches))
    assert (5, {}) == (sink.stats().sent, sink.stats().dropped)


def test_a_well_formed_answer_of_any_kind_will_do(server: HttpServer, sink: QueuedSink) -> None:
    """The body of a 2xx says nothing that matters."""
    for behaviour in (Chunked(), Html(), Answer(204, b"")):
        server.behave(behaviour, path=EVENTS, times=1)
        put(sink, 1)
        sink.drain()
    assert 3 == sink.stats().sent


def test_after_three_retries_a_batch_is_given_up_and_told_of(server: HttpServer, sink: QueuedSink) -> None:
    """It is counted by reason, and the next batch tells of it in one `error` event."""
    server.behave(Answer(503), path=EVENTS, times=4)
    put(sink, 5)
    sink.drain()
    assert ({"http_503": 5}, 1) == (sink.stats().dropped, sink.stats().failed)
    for start in (5, 6):
        put(sink, 1, start)
        sink.drain()
    told = [event["data"] for event in server.events() if event["data"]["scope"] == "transport"]
    assert [{"scope": "transport", "message": "Audit events were lost", "details": {"http_503": "5"}}] == told
    assert [5, 6] == stored(server)


@pytest.mark.parametrize("status", [400, 403, 404, 422, 302])
def test_a_refusal_is_final(
    server: HttpServer, sink: QueuedSink, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Row 10: one attempt a batch, counted; one line in the log, however many batches."""
    server.behave(Redirect("/elsewhere") if status == 302 else Answer(status), path=EVENTS)
    for start in range(3):
        put(sink, 1, start)
        sink.drain()
    assert 3 == len(server.batches)
    assert {f"http_{status}": 3} == sink.stats().dropped
    assert 1 == len([record for record in caplog.records if record.name == "handlebar"])


def test_a_401_stops_the_sending_until_a_probe(
    server: HttpServer, sink: QueuedSink, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Row 10: events wait meanwhile, and the message says what to check."""
    monkeypatch.setattr(delivering, "PROBE_SECONDS", 1.0)
    server.behave(Answer(401), path=EVENTS, times=1)
    put(sink, 1)
    sink.drain()
    put(sink, 2, 1)
    sink.drain(0.2)
    assert 1 == len(server.batches)
    assert "check the API key" in caplog.text
    assert eventually(lambda: sink.stats().sent == 2)
    assert [1, 2] == stored(server)
    assert {"http_401": 1} == sink.stats().dropped


class _AtMost:
    """A server that takes so many bytes."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __call__(self, connection: Any) -> None:
        too_large = len(connection.request.body) > self._size
        (Answer(413) if too_large else Chunked())(connection)


def test_a_batch_that_is_too_large_is_halved(server: HttpServer, sink: QueuedSink) -> None:
    """Row 11: until it fits; order is kept."""
    server.behave(_AtMost(2000), path=EVENTS)
    put(sink, 50)
    sink.drain()
    assert list(range(50)) == stored(server)
    assert 50 == sink.stats().sent


def test_a_single_event_that_is_too_large_is_cut(server: HttpServer, sink: QueuedSink) -> None:
    """Row 11: a message loses its end, and says so."""
    server.behave(_AtMost(20_000), path=EVENTS)
    sink.write_batch("agent-1", [a_message("x" * 50_000)])
    sink.drain()
    (event,) = server.events()
    assert (8192, True) == (len(event["data"]["content"]), event["data"]["contentTruncated"])


def test_a_single_event_that_cannot_be_cut_is_counted(server: HttpServer, sink: QueuedSink) -> None:
    """Row 11: the others go."""
    server.behave(_AtMost(5000), path=EVENTS)
    large = ErrorEvent(time_ns=0, run_id="run-1", data=ErrorData(scope="agent", message="9" * 10_000))
    sink.write_batch("agent-1", [an_event(1), large, an_event(2)])
    sink.drain()
    assert [1, 2] == stored(server)
    assert {"too_large": 1} == sink.stats().dropped


def test_a_poisonous_event_costs_only_itself(server: HttpServer, sink: QueuedSink) -> None:
    """Row 13: what cannot be encoded is counted, and told of with the others."""
    poison = ErrorEvent(time_ns=0, run_id="run-1", data=object())  # type: ignore[arg-type]  # what is tested
    sink.write_batch("agent-1", [an_event(1), poison, an_event(2)])
    sink.drain()
    assert [1, 2] == stored(server)
    assert {"unencodable": 1} == sink.stats().dropped
    assert [{"unencodable": "1"}] == [e["data"]["details"] for e in server.events() if "details" in e["data"]]


def test_overflow_drops_the_oldest_and_nobody_waits(server: HttpServer) -> None:
    """Row 8: while the server is silent."""
    sink = create_http_sink(server.url, "key", queue_depth=10, flush_timeout_ms=200)
    server.behave(Hang(), path=EVENTS)
    put(sink, 1)
    assert eventually(lambda: len(server.batches) == 1)
    began = time.monotonic()
    put(sink, 1000, 1)
    assert time.monotonic() - began < 2
    assert {"overflow": 990} == sink.stats().dropped
    assert 11 == sink.stats().queued
    server.stop()
    sink.close()
    assert 1001 == sum(sink.stats().dropped.values())


def test_draining_waits_only_so_long(server: HttpServer) -> None:
    """Row 17: for a server that is silent."""
    sink = create_http_sink(server.url, "key", flush_timeout_ms=200)
    server.behave(Hang(), path=EVENTS)
    put(sink, 3)
    began = time.monotonic()
    sink.drain()
    sink.close()
    sink.close()
    assert time.monotonic() - began < 4
    server.stop()
    put(sink, 2)
    assert eventually(lambda: sink.stats().queued == 0)
    assert 5 == sum(sink.stats().dropped.values())


@pytest.mark.parametrize(
    "header", ["0.05", "-5", "NaN", "soon", "Wed, 21 Oct 2015 07:28:00 GMT", "99999999999", "1e400"]
)
def test_retry_after_of_any_kind(server: HttpServer, sink: QueuedSink, header: str) -> None:
    """Row 12: waited for within the cap, whatever it says."""
    server.behave(Answer(503, b"", {"retry-after": header}), path=EVENTS, times=2)
    put(sink, 1)
    sink.drain()
    assert 1 == sink.stats().sent


@settings(max_examples=25, deadline=None)
@given(
    faults=st.lists(st.sampled_from([*PASSING, Answer(400), Html()]), max_size=12),
    bursts=st.lists(st.integers(1, 80), min_size=1, max_size=4),
)
def test_every_event_is_stored_or_counted(faults: list[Any], bursts: list[int]) -> None:
    """Whatever the server does: what was sent and what was dropped add up to what was emitted; none is stored twice."""
    with HttpServer() as server:
        sink = create_http_sink(server.url, "key", queue_depth=100)
        for fault in faults:
            server.behave(fault, path=EVENTS, times=1)
        emitted = 0
        for burst in bursts:
            put(sink, burst, emitted)
            emitted += burst
            sink.drain()
        sink.close()
        stats = sink.stats()
        assert (emitted, 0) == (stats.sent + sum(stats.dropped.values()), stats.queued)
        numbers = stored(server)
        assert [] == [number for number, times in Counter(numbers).items() if times > 1]
        # A batch may have been stored although the answer never came.
        assert len(numbers) >= stats.sent - _unstored(faults)


def _unstored(faults: list[Any]) -> int:
    """Return how many events an answer of 200 may have swallowed: a server that lies stores nothing."""
    return 50 * sum(isinstance(fault, Answer) and fault.status == 200 for fault in faults)
