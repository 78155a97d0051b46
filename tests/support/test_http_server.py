"""The misbehaving server misbehaves as its behaviours say."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support import http_server as served
from tests.support.http_server import HttpServer
from tests.support.waiting import eventually, threads_named

EVENTS = "/v1/runs/events"


@pytest.fixture(name="server")
def _server() -> Iterator[HttpServer]:
    with HttpServer() as server:
        yield server


@pytest.fixture(name="client")
def _client(server: HttpServer) -> Iterator[http.client.HTTPConnection]:
    client = connection_to(server)
    yield client
    client.close()


def connection_to(server: HttpServer) -> http.client.HTTPConnection:
    """Return a client that waits 5 s at most."""
    address = urlsplit(server.url)
    return http.client.HTTPConnection(str(address.hostname), address.port, timeout=5)


def ask(
    client: http.client.HTTPConnection, path: str, body: Any = None, *, method: str = "POST", batch: str = "b-1"
) -> tuple[int, bytes]:
    """Return status and body of one call."""
    client.request(method, path, json.dumps(body or {}), {served.BATCH_ID: batch})
    answer = client.getresponse()
    return answer.status, answer.read()


def send_batch(client: http.client.HTTPConnection, batch: str = "b-1") -> tuple[int, bytes]:
    """Send one event that is named after its batch."""
    return ask(client, EVENTS, {"agentId": "agent-1", "events": [{"of": batch}]}, batch=batch)


def called(
    server: HttpServer,
    call: bytes = b"POST /v1/agents HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}",
    *,
    seconds: float = 5.0,
) -> socket.socket:
    """Return a socket on which *call* has been made."""
    address = urlsplit(server.url)
    client = socket.create_connection((str(address.hostname), address.port or 0), timeout=seconds)
    client.sendall(call)
    return client


def raw_answer(server: HttpServer, *, seconds: float = 5.0) -> bytes:
    """Return all that comes back to one batch, until the server closes or *seconds* have passed in silence."""
    body = b'{"events": [{"of": "b-1"}]}'
    call = f"POST {EVENTS} HTTP/1.1\r\n{served.BATCH_ID}: b-1\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    received = b""
    with called(server, call + body, seconds=seconds) as client:
        try:
            while part := client.recv(65536):
                received += part
        except TimeoutError:
            pass  # silence is what the caller looks for
    return received


@pytest.mark.parametrize(
    ("method", "path", "answer"),
    [
        ("POST", "/v1/agents", {"agentId": "agent-1"}),
        ("PUT", "/v1/agents/agent-1/tools", {}),
        ("POST", "/v1/runs/r%2F1/start", {"lockdown": {"active": False}}),
        ("POST", "/v1/runs/r-1/evaluate", served.ALLOW),
        ("POST", "/v1/runs/r-1/end", {}),
        ("POST", "/v1/agents/check", served.ALLOW),
    ],
)
def test_well_behaved(client: http.client.HTTPConnection, method: str, path: str, answer: dict[str, Any]) -> None:
    """Untold, it answers each call of the wire."""
    status, body = ask(client, path, method=method)

    assert (200, answer) == (status, json.loads(body))


def test_refuses_what_is_not_on_the_wire(client: http.client.HTTPConnection) -> None:
    """An unknown call is a 404, and events without a list are a 400."""
    assert 404 == ask(client, "/v1/elsewhere")[0]
    assert 400 == ask(client, EVENTS, {"agentId": "agent-1"})[0]


def test_decision_is_what_evaluate_answers(server: HttpServer, client: http.client.HTTPConnection) -> None:
    """The attribute is read at each call."""
    server.decision = {"verdict": "BLOCK"}

    assert {"verdict": "BLOCK"} == json.loads(ask(client, "/v1/runs/r-1/evaluate")[1])


def test_batch_is_stored_once(server: HttpServer, client: http.client.HTTPConnection) -> None:
    """A repeated batch is seen again but stored no more; one connection carries them all."""
    for batch in ("b-1", "b-2", "b-1"):
        send_batch(client, batch)

    assert [{"of": "b-1"}, {"of": "b-2"}] == server.events()
    assert ["b-1", "b-2", "b-1"] == server.batches
    assert 1 == server.connections
    assert [1, 1, 1] == [request.connection for request in server.requests]
    assert {"agentId": "agent-1", "events": [{"of": "b-2"}]} == server.requests[1].json()


def test_behaviours_take_turns(server: HttpServer, client: http.client.HTTPConnection) -> None:
    """Queued ones come first and in order, then the latest permanent one, on matching paths only."""
    server.behave(served.Answer(500))
    server.behave(served.Answer(418), path="events")
    server.behave(served.Answer(503), path="events", times=2)
    server.behave(served.Answer(429, {}, {"retry-after": "1"}), path="events", times=1)

    assert [503, 503, 429, 418, 418] == [send_batch(client)[0] for _ in range(5)]
    assert 500 == ask(client, "/v1/agents")[0]

    server.behave_well()
    assert 200 == send_batch(client)[0]
    assert [{"of": "b-1"}] == server.events()


def test_own_answers(server: HttpServer, client: http.client.HTTPConnection) -> None:
    """HTML, a redirect, nothing at all and a huge body are whole answers: the connection lives on."""
    for behaviour in (served.Html(), served.Redirect("/x"), served.Answer(204), served.Huge(3 << 20)):
        server.behave(behaviour, times=1)

    answers = [send_batch(client) for _ in range(4)]

    assert [200, 302, 204, 200] == [status for status, _ in answers]
    assert answers[0][1].startswith(b"<html>")
    assert 3 << 20 == len(answers[3][1])
    assert 1 == server.connections
    assert [] == server.events()


@pytest.mark.parametrize("behaviour", [served.Slow(0.05), served.Chunked(), served.Drip(seconds_between=0.0)])
def test_odd_but_whole(server: HttpServer, client: http.client.HTTPConnection, behaviour: served.Behaviour) -> None:
    """A late, a chunked and a dripped answer are good answers in the end."""
    server.behave(behaviour)

    assert [(200, b"{}"), (200, b"{}")] == [send_batch(client), send_batch(client)]
    assert [{"of": "b-1"}] == server.events()


@pytest.mark.parametrize(
    ("behaviour", "stored"),
    [
        (served.ResetBefore(), 0),
        (served.StoreThenReset(), 1),
        (served.ResetInAnswer(), 1),
        (served.ResetInAnswer(in_head=True), 1),
    ],
)
def test_resets(
    server: HttpServer, client: http.client.HTTPConnection, behaviour: served.Behaviour, stored: int
) -> None:
    """A reset is a reset to the client, and says nothing of what was stored."""
    server.behave(behaviour)

    with pytest.raises(ConnectionResetError):
        send_batch(client)
    assert stored == len(server.events())


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (served.EmptyAnswer(), http.client.RemoteDisconnected),
        (served.HalfAnswer(), http.client.IncompleteRead),
        (served.BrokenChunked(), http.client.IncompleteRead),
    ],
)
def test_broken_answers(
    server: HttpServer, client: http.client.HTTPConnection, behaviour: served.Behaviour, error: type[Exception]
) -> None:
    """An answer that is none, or that ends too soon, is an error to the client."""
    server.behave(behaviour)

    with pytest.raises(error):
        send_batch(client)


def test_wrong_length_leaves_a_rest(server: HttpServer) -> None:
    """The whole body comes under half its length, and the connection stays open."""
    server.behave(served.WrongLength())

    head, _, body = raw_answer(server, seconds=0.1).partition(b"\r\n\r\n")

    assert b"{}" == body
    assert b"content-length: 1" in head.splitlines()


def test_close_after_leaves_a_stale_connection(server: HttpServer) -> None:
    """The answer is good, does not announce the close, and the close follows."""
    server.behave(served.CloseAfter())

    answer = raw_answer(server)

    assert answer.endswith(b"\r\n\r\n{}")
    assert b"connection:" not in answer


def test_silence_and_drip_go_on(server: HttpServer) -> None:
    """A hanging server sends nothing, an endless drip never ends, and both let go when the client leaves."""
    server.behave(served.Hang(), times=1)
    server.behave(served.Drip(seconds_between=0.0, endless=True), times=1)

    assert b"" == raw_answer(server, seconds=0.1)
    with called(server) as client:
        assert all(client.recv(1) for _ in range(1000))
    assert eventually(lambda: not [t for t in threads_named("test-http-") if t.name != "test-http-door"])


def test_refusing(server: HttpServer, client: http.client.HTTPConnection) -> None:
    """While it refuses, old connections are cut and new ones refused; then the port serves again."""
    send_batch(client)
    url = server.url

    with server.refuse():
        with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
            send_batch(client)
        client.close()
        with pytest.raises(ConnectionRefusedError):
            send_batch(client)
        client.close()

    assert url == server.url
    assert 200 == send_batch(client)[0]


@pytest.mark.parametrize("behaviour", [served.Hang(), served.Slow(60), served.Drip(seconds_between=60)])
def test_stopping_ends_every_thread(behaviour: served.Behaviour) -> None:
    """Whatever its threads are at, `stop` returns soon and leaves none; twice does no harm."""
    server = HttpServer()
    server.behave(behaviour)
    with called(server):
        assert server.wait_for(lambda: 1 == len(server.requests))
        began = time.monotonic()
        server.stop()
        server.stop()

    assert 4 > time.monotonic() - began
    assert [] == threads_named("test-http-")


def test_threads_may_ask_at_once(server: HttpServer) -> None:
    """Each of several clients is heard, on a connection of its own."""

    def send(batch: str) -> None:
        client = connection_to(server)
        send_batch(client, batch)
        client.close()

    threads = [threading.Thread(target=send, args=(f"b-{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert {f"b-{number}" for number in range(8)} == {event["of"] for event in server.events()}
    assert 8 == server.connections


def test_speaks_tls() -> None:
    """With a context of a trusted authority it serves https, and a client that trusts nobody does not stop it."""
    trustme = pytest.importorskip("trustme", reason="makes the certificate")
    authority = trustme.CA()
    ours, theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.issue_cert("127.0.0.1").configure_cert(ours)
    authority.configure_trust(theirs)

    with HttpServer(tls=ours) as server:
        address = urlsplit(server.url)
        assert "https" == address.scheme
        distrustful = http.client.HTTPSConnection(str(address.hostname), address.port, timeout=5)
        with pytest.raises(ssl.SSLCertVerificationError):
            distrustful.request("POST", "/v1/agents")
        distrustful.close()
        client = http.client.HTTPSConnection(str(address.hostname), address.port, context=theirs, timeout=5)
        assert 200 == send_batch(client)[0]
        client.close()
