"""Decisions over HTTP while the server misbehaves: the documented answer, in time, and no exception."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from handlebar.core import FAILCLOSED_DECISION, FAILOPEN_DECISION, Decision, Handlebar, HandlebarClientConfig, RunConfig
from handlebar.core.client import HandlebarClient
from tests.support.clients import made
from tests.support.http_server import (
    Answer,
    BrokenChunked,
    Chunked,
    CloseAfter,
    Drip,
    EmptyAnswer,
    HalfAnswer,
    Hang,
    Html,
    HttpServer,
    Huge,
    Redirect,
    ResetBefore,
    ResetInAnswer,
    Slow,
)
from tests.support.waiting import eventually

BUDGET = 1.0
MARGIN = 4.0
"""What a loaded machine may add; without a deadline the calls below would take minutes, or never end."""


@pytest.fixture(name="server")
def _server() -> Iterator[HttpServer]:
    with HttpServer() as server:
        yield server


def a_client(server: HttpServer, **config: Any) -> HandlebarClient:
    """Return a client of *server* that records nothing."""
    fields = {"agent": "desk", "api_endpoint": server.url, "api_key": "the-secret", "sinks": [], **config}
    client = Handlebar.init_sync(HandlebarClientConfig(**fields))
    made.append(client)
    return client


def decided(client: HandlebarClient) -> tuple[Decision, float]:
    """Return a decision, and the seconds that it took."""
    run = client.start_run_sync(RunConfig("run-1"))
    began = time.monotonic()
    decision = run.before_tool_sync("refund", {"amount": 5})
    return decision, time.monotonic() - began


NO_ANSWERS = {
    "silence": Hang(),
    "a byte now and then": Drip(seconds_between=0.2, endless=True),
    "500": Answer(500),
    "502 in HTML": Html(502),
    "401": Answer(401),
    "403": Answer(403),
    "404": Answer(404),
    "HTML": Html(),
    "garbage": Answer(200, b"\x00\xff{{{"),
    "no JSON object": Answer(200, b"[1, 2]"),
    "an unknown verdict": Answer(200, {"verdict": "MAYBE", "control": "CONTINUE", "cause": {"kind": "ALLOW"}}),
    "a verdict of the wrong type": Answer(
        200, {"verdict": True, "control": "CONTINUE", "cause": {"kind": "ALLOW"}, "message": "", "evaluatedRules": []}
    ),
    "no message": Answer(200, {"verdict": "ALLOW", "control": "CONTINUE", "cause": {"kind": "ALLOW"}}),
    "deep nesting": Answer(200, b"[" * 100_000),
    "half an answer": HalfAnswer(),
    "no answer": EmptyAnswer(),
    "a reset before": ResetBefore(),
    "a reset within": ResetInAnswer(),
    "broken chunks": BrokenChunked(),
    "a redirect": Redirect("http://127.0.0.1:1/"),
    "too large an answer": Huge(9 * 1024 * 1024),
}


@pytest.mark.parametrize("fail_closed", [False, True], ids=["open", "closed"])
@pytest.mark.parametrize("behaviour", NO_ANSWERS.values(), ids=NO_ANSWERS.keys())
def test_what_is_no_decision_gives_the_fail_decision_in_time(
    server: HttpServer, behaviour: Any, fail_closed: bool
) -> None:
    """Rows 9, 10, 16 and 17: whichever was chosen, within the budget, and nothing is raised."""
    client = a_client(server, fail_closed=fail_closed, decision_timeout=BUDGET)
    client.ready_sync()
    server.behave(behaviour, path="/evaluate")
    decision, seconds = decided(client)
    assert (FAILCLOSED_DECISION if fail_closed else FAILOPEN_DECISION) == decision
    assert seconds < BUDGET + MARGIN


@pytest.mark.parametrize("behaviour", [Chunked(), CloseAfter(), Slow(0.2)], ids=lambda each: type(each).__name__)
def test_what_is_unusual_but_right_is_taken(server: HttpServer, behaviour: Any) -> None:
    """Chunks, a connection that is closed after the answer, and slowness within the budget."""
    client = a_client(server)
    server.behave(behaviour, path="/evaluate")
    for _ in range(3):
        assert "No rule matched" == decided(client)[0].message


def test_a_connection_is_kept(server: HttpServer) -> None:
    """One for all calls of a thread."""
    client = a_client(server)
    for _ in range(20):
        decided(client)
    assert 1 == server.connections


def test_a_stale_connection_is_no_retry_that_anybody_sees(server: HttpServer) -> None:
    """Row 16: the server has closed the idle connection; the next call opens another, and is made once."""
    client = a_client(server)
    decided(client)
    server.behave(CloseAfter(), path="/evaluate", times=1)
    decided(client)
    before = len(server.requests)
    _, seconds = decided(client)
    assert 1 == len(server.requests) - before
    assert seconds < MARGIN


@pytest.mark.parametrize(("status", "asked"), [(500, 4), (503, 4), (400, 1), (401, 1), (404, 1), (429, 1)])
def test_evaluate_is_retried_as_the_wire_file_says(server: HttpServer, status: int, asked: int) -> None:
    """Up to three times on 5xx; a 4xx is final."""
    client = a_client(server)
    client.ready_sync()
    server.behave(Answer(status), path="/evaluate")
    decided(client)
    assert asked == sum("/evaluate" in request.path for request in server.requests)


def test_a_passing_fault_is_retried_away(server: HttpServer) -> None:
    """Two resets and a 502, and the answer comes all the same."""
    client = a_client(server)
    client.ready_sync()
    server.behave(ResetBefore(), path="/evaluate", times=2)
    server.behave(Answer(502), path="/evaluate", times=1)
    assert "No rule matched" == decided(client)[0].message


def test_start_and_registration_are_one_attempt(server: HttpServer) -> None:
    """Their failure is no reason not to ask for decisions."""
    client = a_client(server)
    client.ready_sync()
    server.behave(Answer(500), path="/start")
    assert "No rule matched" == decided(client)[0].message
    assert 1 == sum(request.path.endswith("/start") for request in server.requests)


def test_registration_is_tried_again_until_it_works(server: HttpServer) -> None:
    """Until then the run goes on under the fail mode; then it is governed."""
    server.behave(Answer(500), path="/v1/agents", times=2)
    client = a_client(server)
    run = client.start_run_sync(RunConfig("run-1"))
    assert FAILOPEN_DECISION == run.before_tool_sync("refund", {})
    assert eventually(lambda: run.before_tool_sync("refund", {}).message == "No rule matched")
    assert 1 == sum(request.path.endswith("/start") for request in server.requests)


def test_a_server_that_refuses_connections(server: HttpServer) -> None:
    """Milliseconds, once the circuit is open; and decisions again within seconds of its return (row 23)."""
    client = a_client(server)
    run = client.start_run_sync(RunConfig("run-1"))
    with server.refuse():
        for _ in range(3):
            assert FAILOPEN_DECISION == run.before_tool_sync("refund", {})
        began = time.monotonic()
        for _ in range(200):
            run.before_tool_sync("refund", {})
        assert time.monotonic() - began < MARGIN
    assert eventually(lambda: run.before_tool_sync("refund", {}).message == "No rule matched")


def test_an_open_circuit_asks_nobody(server: HttpServer) -> None:
    """But for a probe now and then."""
    client = a_client(server)
    run = client.start_run_sync(RunConfig("run-1"))
    server.behave(Answer(500), path="/evaluate")
    run.before_tool_sync("refund", {})
    run.before_tool_sync("refund", {})
    before = len(server.requests)
    for _ in range(100):
        run.before_tool_sync("refund", {})
    assert len(server.requests) - before <= 2


def test_a_terminate_is_latched_without_another_call(server: HttpServer) -> None:
    """The server is not asked any more."""
    server.decision = {
        "verdict": "BLOCK",
        "control": "TERMINATE",
        "cause": {"kind": "RULE_VIOLATION", "ruleId": "r-1"},
        "message": "Enough",
        "evaluatedRules": [],
        "unknown": {"to": "us"},
    }
    run = a_client(server).start_run_sync(RunConfig("run-1"))
    first = run.before_tool_sync("refund", {})
    asked = len(server.requests)
    assert first == run.before_tool_sync("other", {}) == run.after_tool_sync("other", {}, None)
    assert asked == len(server.requests)


def test_run_ids_are_encoded_in_the_path(server: HttpServer) -> None:
    """Whatever they hold, they stay one segment of it."""
    client = a_client(server)
    for run_id in ("a/b c", "..", "?x=1#y", "ü"):
        run = client.start_run_sync(RunConfig(run_id))
        assert "No rule matched" == run.before_tool_sync("refund", {}).message
    paths = [request.path for request in server.requests if request.path.endswith("/evaluate")]
    expected = [f"/v1/runs/{quoted}/evaluate" for quoted in ("a%2Fb%20c", "%2E%2E", "%3Fx%3D1%23y", "%C3%BC")]
    assert expected == paths


def test_headers_of_every_request(server: HttpServer) -> None:
    """The key, the type of the body, and who asks."""
    decided(a_client(server))
    for request in server.requests:
        assert "Bearer the-secret" == request.headers["authorization"]
        assert "application/json" == request.headers["content-type"]
        assert request.headers["user-agent"].startswith("handlebar-python/")


def test_no_secret_is_told(server: HttpServer, caplog: pytest.LogCaptureFixture) -> None:
    """Row 25: neither in logs, those of urllib3 included, nor in reprs."""
    with caplog.at_level("DEBUG"):
        client = a_client(server, decision_timeout=BUDGET)
        decided(client)
        server.behave(ResetBefore(), path="/evaluate")
        decided(client)
        server.behave(Answer(401), path="/evaluate")
        decided(client)
    shown = [repr(client), repr(client.config), repr(vars(client)), repr(client._connection._plane._transport)]
    assert "the-secret" not in caplog.text + "".join(shown)


@pytest.mark.usefixtures("untraced")
def test_an_interrupt_within_a_call_passes_and_the_next_call_works(server: HttpServer) -> None:
    """Row 7: Ctrl-C, or Celery's soft time limit, raised by a signal handler while the server is silent."""
    import signal

    class SoftTimeLimitExceeded(Exception):
        """What Celery raises; it is known by its name."""

    def strike(*_: object) -> None:
        raise SoftTimeLimitExceeded

    client = a_client(server)
    run = client.start_run_sync(RunConfig("run-1"))
    run.before_tool_sync("refund", {})
    server.behave(Hang(), path="/evaluate", times=1)
    before = signal.signal(signal.SIGALRM, strike)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(SoftTimeLimitExceeded):
            run.before_tool_sync("refund", {})
    finally:
        signal.signal(signal.SIGALRM, before)
    assert "No rule matched" == run.before_tool_sync("refund", {}).message


def test_a_session_of_the_users_is_honoured(server: HttpServer) -> None:
    """Its headers and its proxies: the proxy is asked for the whole URL."""
    import requests

    session = requests.Session()
    session.headers["x-team"] = "desk"
    session.proxies = {"http": server.url}
    config = {"api_endpoint": "http://plane.invalid", "session": session}
    client = a_client(server, **config)
    assert "No rule matched" == decided(client)[0].message
    assert {"desk"} == {request.headers["x-team"] for request in server.requests}
    session.close()


def test_an_adapter_of_the_users_is_honoured(server: HttpServer) -> None:
    """One that sends for itself gets every request."""
    import requests
    from requests.adapters import HTTPAdapter

    sent: list[str] = []

    class Noting(HTTPAdapter):
        def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
            sent.append(str(request.url))
            return super().send(request, *args, **kwargs)

    with requests.Session() as session:
        session.mount("http://", Noting())
        client = a_client(server, session=session)
        assert "No rule matched" == decided(client)[0].message
        server.behave(ResetBefore(), path="/evaluate")
        assert FAILOPEN_DECISION == decided(client)[0]
    assert any(url.endswith("/v1/runs/run-1/evaluate") for url in sent)


def test_odd_arguments_are_asked_about(server: HttpServer) -> None:
    """Row 14: the published SDK lets them pass; here they reach the server, and its verdict counts."""
    server.decision = {**server.decision, "verdict": "BLOCK", "message": "No"}
    run = a_client(server).start_run_sync(RunConfig("run-1"))
    circular: list[Any] = []
    circular.append(circular)

    class Hostile:
        def __repr__(self) -> str:
            raise RuntimeError

    deep: Any = "bottom"
    for _ in range(5000):
        deep = [deep]
    odd: list[Callable[[], Any] | Any] = [
        circular,
        Hostile(),
        deep,
        {1, "a"},
        b"\xff",
        float("nan"),
        "\ud800",
        1 << 9999,
    ]
    for value in odd:
        assert "No" == run.before_tool_sync("refund", {"value": value}).message
    assert len(odd) == sum(request.path.endswith("/evaluate") for request in server.requests)
    assert all("value" in request.json()["args"] for request in server.requests if "/evaluate" in request.path)
