"""Delivery by a client's own sink: waits that are asked for, probes, outages, and who waits for all that."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from handlebar._plumbing.retry import RetryPolicy
from handlebar.core import Handlebar, HandlebarClientConfig, HttpSinkConfig, RunConfig, create_http_sink
from handlebar.core.client import HandlebarClient
from handlebar.core.sinks import delivering
from handlebar.core.sinks.queued import QueuedSink
from tests.core.sinks.events import events
from tests.support.clients import made
from tests.support.http_server import Answer, Connection, Hang, HttpServer, well
from tests.support.waiting import eventually

EVENTS = "/v1/runs/events"


@pytest.fixture(name="server")
def _server() -> Iterator[HttpServer]:
    with HttpServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The waits between attempts are as many as ever, and a tenth as long at most."""
    monkeypatch.setattr(delivering, "RETRY", RetryPolicy(retries=3, base=0.005, cap=1.0))


@pytest.fixture(name="sink")
def _sink(server: HttpServer) -> Iterator[QueuedSink]:
    sink = create_http_sink(server.url, "key", flush_interval_ms=50)
    yield sink
    sink.close()


class Timed:
    """Notes when each request comes, and answers the first with *first*."""

    def __init__(self, first: Answer) -> None:
        self.came: list[float] = []
        self._first = first

    def __call__(self, connection: Connection) -> None:
        self.came.append(time.monotonic())
        (self._first if len(self.came) == 1 else well)(connection)


@pytest.mark.parametrize(("asked", "least"), [("0.6", 0.6), ("3600", 1.0)], ids=["as asked", "up to the cap"])
@pytest.mark.parametrize("status", [429, 503])
def test_a_retry_after_is_waited_for(
    server: HttpServer, sink: QueuedSink, status: int, asked: str, least: float
) -> None:
    """Row 12: within the cap; what comes meanwhile is queued, and goes afterwards."""
    timed = Timed(Answer(status, b"", {"retry-after": asked}))
    server.behave(timed, path=EVENTS)
    sink.write_batch("agent-1", events(3))
    assert eventually(lambda: len(timed.came) == 1)
    sink.write_batch("agent-1", events(7, 3))
    assert 10 == sink.stats().queued
    assert eventually(lambda: sink.stats().sent == 10)
    # Half a tick of the clock may be missing.
    assert least - 0.02 <= timed.came[1] - timed.came[0]
    assert [str(number) for number in range(10)] == [event["data"]["message"] for event in server.events()]


def test_nobody_waits_for_a_retry_after_at_the_end(server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows 4 and 12: closing ends the wait."""
    monkeypatch.setattr(delivering, "RETRY", RetryPolicy(retries=3, base=0.5, cap=60.0))
    sink = create_http_sink(server.url, "key", flush_timeout_ms=300)
    server.behave(Answer(503, b"", {"retry-after": "60"}), path=EVENTS)
    sink.write_batch("agent-1", events(3))
    began = time.monotonic()
    sink.close()
    assert time.monotonic() - began < 5
    assert eventually(lambda: sink.stats().queued == 0)
    assert 3 == sum(sink.stats().dropped.values())


def test_a_key_that_stays_wrong_is_probed_with_one_batch_at_a_time(
    server: HttpServer, sink: QueuedSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 10: however much waits, one request a pause; the rest waits, and goes when the key is good again."""
    monkeypatch.setattr(delivering, "PROBE_SECONDS", 0.5)
    timed = Timed(Answer(401))
    server.behave(Answer(401), path=EVENTS, times=3)
    server.behave(timed, path=EVENTS)
    timed.came.append(0.0)  # it answers well from the first
    sink.write_batch("agent-1", events(300))
    assert eventually(lambda: sink.stats().queued == 0)
    assert (150, {"http_401": 150}) == (sink.stats().sent, sink.stats().dropped)
    assert 6 == len(server.batches)


def test_a_key_that_is_wrong_makes_closing_quick(server: HttpServer, sink: QueuedSink) -> None:
    """Rows 4 and 10: what waits for the probe is counted for that reason."""
    server.behave(Answer(401), path=EVENTS)
    sink.write_batch("agent-1", events(120))
    assert eventually(lambda: len(server.batches) == 1)
    began = time.monotonic()
    sink.close()
    assert time.monotonic() - began < 4
    assert eventually(lambda: sink.stats().queued == 0)
    assert ({"http_401": 120}, 1) == (sink.stats().dropped, len(server.batches))


def test_overflow_is_told_of_in_the_next_batch(server: HttpServer) -> None:
    """Row 8: as one `error` event, whose number is what is missing."""
    sink = create_http_sink(server.url, "key", queue_depth=10, flush_interval_ms=50)
    server.behave(Hang(), path=EVENTS, times=1)
    sink.write_batch("agent-1", events(1))
    assert eventually(lambda: len(server.batches) == 1)
    sink.write_batch("agent-1", events(100, 1))
    server._cut_all()
    assert eventually(lambda: sink.stats().queued == 0)
    told = [event["data"] for event in server.events()]
    stored = [data["message"] for data in told if data["scope"] == "agent"]
    assert ["0", *(str(number) for number in range(91, 101))] == stored
    assert [{"overflow": "90"}] == [data["details"] for data in told if data["scope"] == "transport"]
    sink.close()


def test_an_outage_that_is_shorter_than_the_retries_costs_nothing(server: HttpServer, sink: QueuedSink) -> None:
    """Rows 9, 19 and 23: 750 events through 503s, all stored, none twice."""
    for start in range(0, 750, 250):
        server.behave(Answer(503), path=EVENTS, times=3)
        sink.write_batch("agent-1", events(250, start))
        sink.drain()
    assert [str(number) for number in range(750)] == [event["data"]["message"] for event in server.events()]
    assert (750, {}) == (sink.stats().sent, sink.stats().dropped)


def test_delivery_resumes_when_a_dead_server_is_back(server: HttpServer, sink: QueuedSink) -> None:
    """Row 23: what was given up meanwhile is counted."""
    with server.refuse():
        sink.write_batch("agent-1", events(5))
        assert eventually(lambda: sink.stats().dropped == {"network": 5})
    sink.write_batch("agent-1", events(5, 5))
    assert eventually(lambda: sink.stats().sent == 5)
    (news,) = [event["data"] for event in server.events() if event["data"]["scope"] == "transport"]
    assert {"network": "5"} == news["details"]


def a_client(server: HttpServer, **sink: Any) -> HandlebarClient:
    """Return a client of *server*, whose sink is configured so."""
    config = HandlebarClientConfig("desk", api_endpoint=server.url, api_key="key", sinks=[HttpSinkConfig(**sink)])
    client = Handlebar.init_sync(config)
    made.append(client)
    return client


def test_ending_a_run_waits_for_the_flush_timeout_and_no_longer(server: HttpServer) -> None:
    """Row 17: and hooks wait for nothing, while the server says nothing to events."""
    server.behave(Hang(), path=EVENTS)
    client = a_client(server, flush_timeout_ms=300)
    run = client.start_run_sync(RunConfig("run-1"))
    began = time.monotonic()
    for _ in range(50):
        run.after_tool_sync("refund", {}, None)
    run.end_sync()
    client.shutdown_sync()
    assert time.monotonic() - began < 6


def test_a_clients_books_balance(server: HttpServer) -> None:
    """What was emitted was sent or counted, before the registration and after; nothing waits."""
    server.behave(Answer(500), path="/v1/agents", times=1)
    client = a_client(server)
    run = client.start_run_sync(RunConfig("run-1"))
    for _ in range(30):
        run.after_tool_sync("refund", {}, None)
    assert eventually(lambda: run.before_tool_sync("refund", {}).message == "No rule matched")
    run.end_sync()
    client.shutdown_sync()
    kinds = [event["kind"] for event in server.events()]
    assert ("run.started", 30, "run.ended") == (kinds[0], kinds.count("tool.result"), kinds[-1])
    stats = client.stats()
    assert (len(kinds), 0, {}) == (stats.events_sent, stats.events_queued, stats.events_dropped)


def test_a_client_that_is_never_registered_counts_its_events(server: HttpServer) -> None:
    """No agent id, no event: at the end they are counted as dropped."""
    server.behave(Answer(500), path="/v1/agents")
    client = a_client(server)
    run = client.start_run_sync(RunConfig("run-1"))
    for _ in range(700):
        run.after_tool_sync("refund", {}, None)
    assert 500 == client.stats().events_queued
    client.shutdown_sync()
    # The run.started, and the 700.
    assert (0, {"unregistered": 701}) == (client.stats().events_queued, client.stats().events_dropped)
    assert [] == server.batches
