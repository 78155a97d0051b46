"""The control plane over HTTP, call by call: what is asked, how often, and what is made of odd answers."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from handlebar._plumbing import circuit
from handlebar.core import (
    FAILCLOSED_DECISION,
    FAILOPEN_DECISION,
    Handlebar,
    HandlebarClientConfig,
    RunConfig,
)
from handlebar.core.api import HttpControlPlane
from handlebar.core.client import HandlebarClient
from handlebar.core.plane import StartRequest
from handlebar.errors import ConfigError, ControlPlaneError, RefusedError, UnreachableError
from tests.support.clients import made
from tests.support.http_server import (
    Answer,
    CloseAfter,
    EmptyAnswer,
    Hang,
    HttpServer,
    ResetBefore,
    Slow,
    StoreThenReset,
)
from tests.support.waiting import eventually

MARGIN = 4.0
"""What a loaded machine may add."""


@pytest.fixture(name="server")
def _server() -> Iterator[HttpServer]:
    with HttpServer() as server:
        yield server


@pytest.fixture(name="plane")
def _plane(server: HttpServer) -> Iterator[HttpControlPlane]:
    plane = HttpControlPlane(server.url + "/", "the-secret", connect_timeout=5.0, read_timeout=10.0)
    yield plane
    plane.close()


def a_client(server: HttpServer, **config: Any) -> HandlebarClient:
    """Return a client of *server* that records nothing."""
    fields = {"agent": "desk", "api_endpoint": server.url, "api_key": "the-secret", "sinks": [], **config}
    client = Handlebar.init_sync(HandlebarClientConfig(**fields))
    made.append(client)
    return client


def asked(server: HttpServer, path: str) -> int:
    """Return how many requests came whose path ends in *path*."""
    return sum(request.path.endswith(path) for request in server.requests)


def ended(plane: HttpControlPlane, *, budget: float = 20) -> None:
    """End a run."""
    plane.end_run("agent-1", "run-1", "success", budget=budget)


@pytest.mark.parametrize(
    ("behaviour", "times"),
    [(Answer(500), 4), (ResetBefore(), 4), (EmptyAnswer(), 4), (Answer(400), 1), (Answer(401), 1)],
    ids=["500", "reset", "empty", "400", "401"],
)
def test_end_is_retried_as_the_wire_file_says(
    server: HttpServer, plane: HttpControlPlane, behaviour: Any, times: int
) -> None:
    """Up to three times, on 5xx and network errors; a 4xx is final."""
    server.behave(behaviour, path="/end")
    with pytest.raises(ControlPlaneError):
        ended(plane)
    assert times == asked(server, "/end")


def test_start_is_one_attempt(server: HttpServer, plane: HttpControlPlane) -> None:
    """On a network error too."""
    server.behave(ResetBefore(), path="/start")
    with pytest.raises(UnreachableError):
        plane.start_run(StartRequest(run_id="run-1", agent_id="agent-1"), budget=20)
    assert 1 == asked(server, "/start")


def test_retries_end_with_the_budget(server: HttpServer, plane: HttpControlPlane) -> None:
    """Row 17: there is no time for the second wait, so it is not waited for."""
    server.behave(Answer(503), path="/end")
    began = time.monotonic()
    with pytest.raises(RefusedError):
        ended(plane, budget=0.5)
    assert time.monotonic() - began < MARGIN
    assert 2 == asked(server, "/end")


def test_a_retry_after_beyond_the_budget_is_not_waited_for(server: HttpServer, plane: HttpControlPlane) -> None:
    """Row 12: an agent is waiting."""
    server.behave(Answer(503, b"", {"retry-after": "3600"}), path="/end")
    began = time.monotonic()
    with pytest.raises(RefusedError) as refused:
        ended(plane, budget=3)
    assert time.monotonic() - began < MARGIN
    assert (1, 3600.0) == (asked(server, "/end"), refused.value.retry_after)


def test_a_key_may_end_in_a_line_end(server: HttpServer) -> None:
    """It has been read from a file."""
    client = a_client(server, api_key=" the-secret\r\n")
    client.ready_sync()
    assert {"Bearer the-secret"} == {request.headers["authorization"] for request in server.requests}


@pytest.mark.parametrize("key", ["the\nsecret", "the-secret\r\nx-evil: 1", "schlüssel", "the\x00secret"], ids=repr)
def test_a_key_that_no_header_can_carry_is_refused_at_once(
    server: HttpServer, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 25: from the environment too, and without being told."""
    with pytest.raises(ConfigError, match="api_key: '\\(hidden\\)'"):
        a_client(server, api_key=key)
    if "\x00" not in key:
        monkeypatch.setenv("HANDLEBAR_API_KEY", key)
        with pytest.raises(ConfigError) as refused:
            a_client(server, api_key=None)
        assert key not in "".join(traceback.format_exception(refused.value))


FAULTS = [Answer(401), Answer(500), Answer(200, b"<html>"), ResetBefore(), StoreThenReset(), EmptyAnswer()]


@pytest.mark.parametrize("behaviour", FAULTS, ids=repr)
def test_no_secret_is_in_an_error(server: HttpServer, plane: HttpControlPlane, behaviour: Any) -> None:
    """Row 25: nor in what has caused it, nor in a traceback."""
    server.behave(behaviour)
    with pytest.raises(ControlPlaneError) as failed:
        plane.start_run(StartRequest(run_id="run-1", agent_id="agent-1"), budget=5)
    told = "".join(traceback.format_exception(failed.value)) + repr(failed.value) + repr(plane)
    assert "the-secret" not in told


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"{}", b'{"agentId": 5}', b'{"agentId": null}'], ids=repr)
def test_a_registration_that_gives_no_id_is_tried_again(server: HttpServer, content: bytes) -> None:
    """Row 9: and until it succeeds the fail decision stands."""
    server.behave(Answer(200, content), path="/v1/agents", times=1)
    run = a_client(server, fail_closed=True).start_run_sync(RunConfig("run-1"))
    assert FAILCLOSED_DECISION == run.before_tool_sync("refund", {})


ODD_STARTS = [b"", b"[]", b"null", b"{}", b'{"lockdown": null}', b'{"lockdown": "yes"}', b'{"lockdown": {"active": 1}}']


@pytest.mark.parametrize("content", ODD_STARTS, ids=repr)
def test_an_odd_answer_to_start_leaves_the_run_governed(server: HttpServer, content: bytes) -> None:
    """Row 9: each decision is still the server's."""
    server.decision = {**server.decision, "verdict": "BLOCK", "message": "No"}
    server.behave(Answer(200, content), path="/start")
    run = a_client(server).start_run_sync(RunConfig("run-1"))
    assert "BLOCK" == run.before_tool_sync("refund", {}).verdict.value


def test_a_lockdown_at_start_is_latched(server: HttpServer) -> None:
    """No question is asked, and the reason is told."""
    server.behave(Answer(200, {"lockdown": {"active": True, "reason": "incident 7", "until_ts": None}}), path="/start")
    run = a_client(server).start_run_sync(RunConfig("run-1"))
    decision = run.before_tool_sync("refund", {})
    assert ("BLOCK", "TERMINATE") == (decision.verdict.value, decision.control.value)
    assert "incident 7" in decision.message
    assert decision == run.before_tool_sync("refund", {})
    assert 0 == asked(server, "/evaluate")


@pytest.mark.parametrize("path", ["/v1/agents", "/start", "/evaluate", "/end"])
def test_silence_to_any_call_costs_the_budget_and_no_more(server: HttpServer, path: str) -> None:
    """Row 17: registering, starting, deciding and ending."""
    server.behave(Hang(), path=path)
    began = time.monotonic()
    run = a_client(server, decision_timeout=0.5).start_run_sync(RunConfig("run-1"))
    run.before_tool_sync("refund", {})
    run.end_sync()
    assert time.monotonic() - began < 1.5 + MARGIN


def test_a_registration_under_way_is_waited_for_by_all(server: HttpServer) -> None:
    """Threads that start runs meanwhile register once, and all are governed."""
    server.behave(Slow(0.3), path="/v1/agents")
    client = a_client(server)

    def decide(number: int) -> str:
        return client.start_run_sync(RunConfig(f"run-{number}")).before_tool_sync("refund", {}).message

    with ThreadPoolExecutor(16) as pool:
        assert {"No rule matched"} == set(pool.map(decide, range(16)))
    assert 1 == asked(server, "/v1/agents")


def in_threads(count: int, work: Callable[[], Any]) -> list[Any]:
    """Return what *work* gives in each of *count* threads."""
    with ThreadPoolExecutor(count) as pool:
        return [future.result() for future in [pool.submit(work) for _ in range(count)]]


def test_a_dead_server_costs_many_threads_little(server: HttpServer) -> None:
    """Row 23: the circuit is one for all of them; few requests arrive, and every thread gets the fail decision."""
    run = a_client(server).start_run_sync(RunConfig("run-1"))
    server.behave(Answer(500), path="/evaluate")
    began = time.monotonic()
    answers = in_threads(16, lambda: {run.before_tool_sync("refund", {}).message for _ in range(50)})
    assert [{FAILOPEN_DECISION.message}] * 16 == answers
    assert time.monotonic() - began < 10
    # Each thread may have had one call under way when the circuit opened; without it there would be 3,200.
    assert asked(server, "/evaluate") < 100


def test_one_probe_closes_the_circuit(server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 23: the server is back; the first who asks when the pause is over is answered, and then everybody."""
    monkeypatch.setattr(circuit, "FIRST_PAUSE", 0.2)
    run = a_client(server).start_run_sync(RunConfig("run-1"))
    with server.refuse():
        for _ in range(3):
            run.before_tool_sync("refund", {})
    assert eventually(lambda: run.before_tool_sync("refund", {}).message == "No rule matched")
    assert {"No rule matched"} == set(in_threads(8, lambda: run.before_tool_sync("refund", {}).message))


def test_a_4xx_is_a_sign_of_life(server: HttpServer) -> None:
    """It opens no circuit: the next question is asked."""
    run = a_client(server).start_run_sync(RunConfig("run-1"))
    server.behave(Answer(404), path="/evaluate")
    for _ in range(20):
        assert FAILOPEN_DECISION == run.before_tool_sync("refund", {})
    assert 20 == asked(server, "/evaluate")


def test_two_clients_have_circuits_of_their_own(server: HttpServer) -> None:
    """Row 22: one's server is dead, the other's answers."""
    with HttpServer() as dead:
        run, lost = (a_client(each).start_run_sync(RunConfig("run-1")) for each in (server, dead))
        dead.behave(Answer(500), path="/evaluate")
        for _ in range(5):
            assert FAILOPEN_DECISION == lost.before_tool_sync("refund", {})
            assert "No rule matched" == run.before_tool_sync("refund", {}).message


def test_a_connection_that_goes_stale_after_each_answer(server: HttpServer) -> None:
    """Row 16: twenty questions are twenty requests."""
    server.behave(CloseAfter())
    run = a_client(server).start_run_sync(RunConfig("run-1"))
    for _ in range(20):
        assert "No rule matched" == run.before_tool_sync("refund", {}).message
    assert 20 == asked(server, "/evaluate")
