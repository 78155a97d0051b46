"""The transport: connections, TLS, deadlines, sessions."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection

from handlebar._plumbing.clock import Deadline
from handlebar._plumbing.http_lines import Request, Response
from handlebar._plumbing.transport import Transport, was_refused
from handlebar.errors import UnreachableError
from tests.support.forks import in_child
from tests.support.http_server import (
    BrokenChunked,
    Chunked,
    CloseAfter,
    Connection,
    Drip,
    HalfAnswer,
    Hang,
    HttpServer,
    Huge,
    Redirect,
    ResetBefore,
    whole,
)

trustme = pytest.importorskip("trustme", reason="trustme is not installed")

ASK = Request("POST", "/v1/agents", b"{}", {"content-type": "application/json"})


@pytest.fixture(name="server")
def _server() -> Iterator[HttpServer]:
    with HttpServer() as server:
        yield server


@pytest.fixture(name="authority")
def _authority() -> Any:
    return trustme.CA()


@pytest.fixture(name="secure")
def _secure(authority: Any) -> Iterator[HttpServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with HttpServer(tls=context) as server:
        yield server


def sent(transport: Transport, request: Request = ASK, *, seconds: float = 20) -> Response:
    """Send within a deadline."""
    return transport.send(request, deadline=Deadline.after(seconds))


def reason_of(transport: Transport, *, seconds: float = 20) -> str:
    """Return why nothing could be sent."""
    with pytest.raises(UnreachableError) as unreachable:
        sent(transport, seconds=seconds)
    return unreachable.value.reason


def test_one_connection_serves_one_thread(server: HttpServer) -> None:
    """However many requests it makes."""
    transport = Transport(server.url, {})
    assert [200] * 30 == [sent(transport).status for _ in range(30)]
    assert 1 == server.connections
    transport.close()


def test_threads_keep_their_connections(server: HttpServer) -> None:
    """Thirty-two of them at once throw none away."""
    transport = Transport(server.url, {})
    start = threading.Barrier(32)

    def work() -> None:
        for _ in range(5):
            start.wait()
            assert 200 == sent(transport).status

    threads = [threading.Thread(target=work) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 160 == len(server.requests)
    assert server.connections <= 32
    transport.close()


def test_a_closed_transport_can_be_used_again(server: HttpServer) -> None:
    """Closing lets go of connections, no more; twice is no matter."""
    transport = Transport(server.url, {})
    sent(transport)
    transport.close()
    transport.close()
    assert 200 == sent(transport).status
    transport.close()


def test_one_tls_context_serves_all_connections(
    secure: HttpServer, authority: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Certificates are read once, not for each connection (16 ms)."""
    loaded: list[int] = []
    original = ssl.SSLContext.load_verify_locations

    def counted(context: ssl.SSLContext, *args: Any, **kwargs: Any) -> None:
        loaded.append(1)
        original(context, *args, **kwargs)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", counted)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with requests.Session() as session:
        session.verify = str(tmp_path / "ca.pem")
        transport = Transport(secure.url, {}, session=session)
        for _ in range(5):
            secure.behave(CloseAfter(), times=1)
            assert 200 == sent(transport).status
        transport.close()
    assert 5 == secure.connections
    assert 1 == len(loaded)


def test_a_certificate_of_a_stranger_is_refused(secure: HttpServer) -> None:
    """The reason says that it is TLS."""
    assert "tls" == reason_of(Transport(secure.url, {}))


def test_a_certificate_for_another_name_is_refused(authority: Any, tmp_path: Path) -> None:
    """Trusting the authority is not enough."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("another.example").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with HttpServer(tls=context) as server, requests.Session() as session:
        session.verify = str(tmp_path / "ca.pem")
        assert "tls" == reason_of(Transport(server.url, {}, session=session))


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_a_session_may_trust_everybody(secure: HttpServer) -> None:
    """As its owner has said."""
    with requests.Session() as session:
        session.verify = False
        transport = Transport(secure.url, {}, session=session)
        assert 200 == sent(transport).status
        transport.close()


@pytest.mark.parametrize("behaviour", [Hang(), Drip(seconds_between=0.1, endless=True)], ids=["silence", "drip"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_the_deadline_is_for_the_whole_request(behaviour: Any, tls: bool, authority: Any, tmp_path: Path) -> None:
    """A server that is silent, or says a byte now and then, holds nobody longer, over TLS neither."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with HttpServer(tls=context if tls else None) as server, requests.Session() as session:
        session.verify = str(tmp_path / "ca.pem")
        transport = Transport(server.url, {}, session=session)
        sent(transport)
        server.behave(behaviour)
        began = time.monotonic()
        assert "timeout" == reason_of(transport, seconds=0.6)
        assert time.monotonic() - began < 4
        server.behave_well()
        assert 200 == sent(transport).status
        transport.close()


def test_a_deadline_that_has_passed_asks_nobody(server: HttpServer) -> None:
    """There is nothing to gain."""
    assert "timeout" == reason_of(Transport(server.url, {}), seconds=0)
    assert [] == server.requests


def test_redirects_are_not_followed(server: HttpServer) -> None:
    """They come back as they are: a key must not go to another server."""
    server.behave(Redirect("http://127.0.0.1:1/"))
    transport = Transport(server.url, {"authorization": "Bearer key"})
    assert 302 == sent(transport).status
    transport.close()


def test_an_answer_is_bounded(server: HttpServer) -> None:
    """Eight MiB are enough for anything that we ask for."""
    server.behave(Huge(9 * 1024 * 1024))
    assert "network" == reason_of(Transport(server.url, {}))


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://nothing.invalid", "http://[::1]:1", "http://host:99999"])
def test_nobody_there(url: str) -> None:
    """A refused connection, a name that does not exist, a port that cannot be."""
    assert "network" == reason_of(Transport(url, {}))


def test_the_environments_proxy_is_used(server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """And looked up once."""
    monkeypatch.setenv("http_proxy", server.url)
    transport = Transport("http://plane.invalid/base", {})
    assert 404 == sent(transport).status
    monkeypatch.delenv("http_proxy")
    assert 404 == sent(transport).status
    assert 2 == len(server.requests)
    transport.close()


def test_a_proxy_is_told_who_asks_each_time(server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over a kept connection, too."""
    monkeypatch.setenv("http_proxy", server.url.replace("//", "//user:word@"))
    transport = Transport("http://plane.invalid", {})
    for _ in range(2):
        sent(transport)
    assert [(1, "Basic dXNlcjp3b3Jk")] * 2 == [
        (request.connection, request.headers.get("proxy-authorization")) for request in server.requests
    ]
    transport.close()


def test_a_connection_of_somebody_elses_make_is_asked_its_own_way(server: HttpServer) -> None:
    """What a session's adapter connects by sees every request, over a kept connection too."""
    asked: list[str] = []

    class Theirs(HTTPConnection):
        def request(self, method: str, *args: Any, **kwargs: Any) -> None:
            asked.append(method)
            super().request(method, *args, **kwargs)

    class Connecting(HTTPAdapter):
        def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
            pool = super().get_connection_with_tls_context(*args, **kwargs)
            pool.ConnectionCls = Theirs
            return pool

    with requests.Session() as session:
        session.mount("http://", Connecting())
        transport = Transport(server.url, {}, session=session)
        assert [200, 200] == [sent(transport).status for _ in range(2)]
        transport.close()
    assert ["POST", "POST"] == asked
    assert 1 == server.connections


def test_a_child_opens_connections_of_its_own(server: HttpServer) -> None:
    """Row 1: one that two processes share hands one of them the other's answer."""
    transport = Transport(server.url, {})
    sent(transport)
    assert "200" == in_child(lambda: str(sent(transport).status))
    assert 200 == sent(transport).status
    assert 2 == server.connections
    assert [1, 2, 1] == [request.connection for request in server.requests]
    transport.close()


@pytest.fixture(name="silent")
def _silent() -> Iterator[socket.socket]:
    """Takes connections, and never reads nor says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture(name="full")
def _full() -> Iterator[socket.socket]:
    """Takes no connection any more."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(8)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        yield listener
        for each in waiting:
            each.close()


def url_of(listener: socket.socket, scheme: str = "http") -> str:
    """Return the URL of a listening socket."""
    return f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"


def test_connecting_has_a_timeout_of_its_own(full: socket.socket) -> None:
    """It is far below the deadline here."""
    began = time.monotonic()
    assert "timeout" == reason_of(Transport(url_of(full), {}, connect_timeout=0.2), seconds=60)
    assert time.monotonic() - began < 10


def test_connecting_ends_with_the_deadline(full: socket.socket) -> None:
    """Where that is shorter than the timeout."""
    began = time.monotonic()
    assert "timeout" == reason_of(Transport(url_of(full), {}, connect_timeout=60), seconds=0.3)
    assert time.monotonic() - began < 10


def test_reading_has_a_timeout_of_its_own(server: HttpServer) -> None:
    """For each piece of the answer: silence ends the call long before its deadline, over a kept connection too."""
    transport = Transport(server.url, {}, read_timeout=0.2)
    began = time.monotonic()
    server.behave(Hang(), times=1)
    assert "timeout" == reason_of(transport, seconds=60)
    assert 200 == sent(transport).status
    server.behave(Hang(), times=1)
    assert "timeout" == reason_of(transport, seconds=60)
    assert time.monotonic() - began < 10
    transport.close()


@pytest.mark.parametrize("scheme", ["http", "https"], ids=["a large body", "a TLS handshake"])
def test_a_server_that_never_reads(silent: socket.socket, scheme: str) -> None:
    """Row 17: neither a handshake nor a body that no buffer holds waits longer than the deadline."""
    large = Request("POST", "/v1/agents", b"x" * 30_000_000)
    began = time.monotonic()
    with pytest.raises(UnreachableError, match="in time"):
        sent(Transport(url_of(silent, scheme), {}), large, seconds=0.5)
    assert time.monotonic() - began < 10


def test_ipv6_only() -> None:
    """Row 16: a server that has no other address."""
    with HttpServer(host="::1") as server:
        transport = Transport(server.url, {})
        assert 200 == sent(transport).status
        transport.close()


def huge_in_chunks(connection: Connection) -> None:
    """Nine MiB, and no word of it beforehand."""
    connection.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    connection.send(9 * (b"100000\r\n" + b"x" * 0x100000 + b"\r\n") + b"0\r\n\r\n")


def huge_head(connection: Connection) -> None:
    """Headers without an end."""
    connection.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.send(b"x-more: " + b"y" * 60_000 + b"\r\n")


def no_http(connection: Connection) -> None:
    """Something else altogether."""
    connection.send(b"\x00\xff nothing of the kind\r\n\r\n")
    connection.close()


def endless_continue(connection: Connection) -> None:
    """An answer that is always about to come."""
    while True:
        connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.pause(0.01)


@pytest.mark.parametrize("kept", [False, True], ids=["a new connection", "a kept one"])
@pytest.mark.parametrize(
    "behaviour",
    [HalfAnswer(), BrokenChunked(), ResetBefore(), Huge(9 * 1024 * 1024), huge_in_chunks, huge_head, no_http],
)
def test_half_broken_and_boundless_answers(server: HttpServer, behaviour: Any, kept: bool) -> None:
    """Row 9: each is a network error, and the next call works."""
    transport = Transport(server.url, {})
    if kept:
        sent(transport)
    server.behave(behaviour, times=1)
    # A repeatable one would be sent again, where it could be that the server had closed the connection.
    assert "network" == _reason(transport, Request("POST", "/v1/agents", b"{}", repeatable=False))
    assert 200 == sent(transport).status
    assert [*([1] if kept else []), 1, 2] == [request.connection for request in server.requests]
    transport.close()


def test_an_answer_that_ends_with_its_connection(server: HttpServer) -> None:
    """Is whole when the connection is closed, a kept one too, and the next call has another."""
    transport = Transport(server.url, {})
    sent(transport)
    server.behave(_say_all_and_close, times=1)
    assert [b"all of it", b'{"agentId": "agent-1"}'] == [sent(transport).body for _ in range(2)]
    assert [1, 1, 2] == [request.connection for request in server.requests]
    transport.close()


def _say_all_and_close(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nall of it")
    connection.close()


@pytest.mark.parametrize("kept", [False, True], ids=["a new connection", "a kept one"])
def test_an_answer_that_is_always_about_to_come(server: HttpServer, kept: bool) -> None:
    """Row 17: ends with the deadline."""
    transport = Transport(server.url, {})
    if kept:
        sent(transport)
    server.behave(endless_continue)
    assert "timeout" == reason_of(transport, seconds=0.5)
    transport.close()


def test_an_answer_in_chunks(server: HttpServer) -> None:
    """Is as good as any other, and keeps the connection."""
    server.behave(Chunked())
    transport = Transport(server.url, {})
    assert [b'{"agentId": "agent-1"}'] * 3 == [sent(transport).body for _ in range(3)]
    assert 1 == server.connections
    transport.close()


def test_an_answer_nobody_asked_for_is_not_taken_for_the_next(server: HttpServer) -> None:
    """Row 9: a server that answers twice does not answer the next question."""
    twice = whole(200, {"agentId": "one"}) + whole(200, {"agentId": "two"})
    server.behave(lambda connection: connection.send(twice), times=1)
    transport = Transport(server.url, {})
    assert [b'{"agentId": "one"}', b'{"agentId": "agent-1"}'] == [sent(transport).body for _ in range(2)]
    transport.close()


def test_a_fresh_connection_that_is_reset_is_not_tried_again(server: HttpServer) -> None:
    """Row 16: only a kept one can have gone stale."""
    server.behave(ResetBefore())
    assert "network" == reason_of(Transport(server.url, {}))
    assert 1 == len(server.requests)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_what_a_signal_handler_raises_passes_through(server: HttpServer, kind: type[BaseException]) -> None:
    """Row 7: the connection in mid-call is thrown away, and the next call has another."""

    def strike(*_: object) -> None:
        raise kind("struck")

    transport = Transport(server.url, {})
    sent(transport)
    server.behave(Hang(), times=1)
    before = signal.signal(signal.SIGALRM, strike)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(kind, match="struck"):
            sent(transport)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert b'{"agentId": "agent-1"}' == sent(transport).body
    assert [1, 1, 2] == [request.connection for request in server.requests]
    transport.close()


class Own(HTTPAdapter):
    """An adapter that is the user's own, and sends as all do."""


class Sending(HTTPAdapter):
    """An adapter that sends for itself."""

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        return super().send(*args, **kwargs)


@pytest.mark.parametrize("adapter", [HTTPAdapter, Own, Sending])
def test_netrc_does_not_replace_the_key(
    server: HttpServer, adapter: type[HTTPAdapter], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 25: what it holds for the host is not ours to send."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login user password the-secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with requests.Session() as session:
        session.mount("http://", adapter())
        transport = Transport(server.url, {"authorization": "Bearer key"}, session=session)
        assert 200 == sent(transport).status
        transport.close()
    assert "Bearer key" == server.requests[0].headers["authorization"]


@pytest.mark.parametrize("adapter", [HTTPAdapter, Own, Sending])
def test_a_child_shares_no_connection_of_a_session(server: HttpServer, adapter: type[HTTPAdapter]) -> None:
    """Row 1: whatever the adapter."""
    with requests.Session() as session:
        session.mount("http://", adapter())
        transport = Transport(server.url, {}, session=session)
        sent(transport)
        assert "200" == in_child(lambda: str(sent(transport).status))
        assert 200 == sent(transport).status
        transport.close()
    assert [1, 2, 1] == [request.connection for request in server.requests]


def test_no_proxy_for_hosts_that_are_named(server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 16: the environment says both."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    transport = Transport(server.url, {})
    assert 200 == sent(transport).status
    transport.close()


KEY = {"authorization": "Bearer the-secret"}
SECRET_URLS = [
    "http://user:the-secret@127.0.0.1:1",
    "https://user:the-secret@127.0.0.1:1/base?key=the-secret",
    "http://user:the-secret@nothing.invalid",
    "http://user:the-secret@[::1:1/",
]


@pytest.mark.parametrize("url", SECRET_URLS)
def test_no_secret_of_a_url_is_told(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Row 25: neither the error, nor its causes, nor any log says it."""
    with caplog.at_level("DEBUG"), pytest.raises(UnreachableError) as unreachable:
        sent(Transport(url, KEY))
    assert "the-secret" not in "".join(traceback.format_exception(unreachable.value)) + caplog.text


def test_no_secret_of_a_proxy_is_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Row 25: as above."""
    monkeypatch.setenv("http_proxy", "http://user:the-secret@127.0.0.1:1")
    with caplog.at_level("DEBUG"), pytest.raises(UnreachableError) as unreachable:
        sent(Transport("http://plane.invalid", {}))
    assert "the-secret" not in "".join(traceback.format_exception(unreachable.value)) + caplog.text


def test_threads_that_come_and_go_leave_no_descriptor(server: HttpServer) -> None:
    """Row 22: connections belong to the pool; they are closed when the transport is."""
    transport = Transport(server.url, {})
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        threads = [threading.Thread(target=sent, args=(transport,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert server.connections <= 40
    transport.close()
    # The server's own ends are in this process too.
    assert server.wait_for(lambda: len(os.listdir("/proc/self/fd")) <= before)


class TestOpen:
    """Answers that are left open."""

    STREAM = Request("GET", "/stream", b"")

    def test_pieces_come_as_they_arrive(self, server: HttpServer) -> None:
        """And not when enough of them have come."""
        server.behave(Drip(seconds_between=0.001, endless=True))
        transport = Transport(server.url, {})
        answer = transport.open(self.STREAM, deadline=Deadline.after(20), silence=20)
        assert 404 == answer.status
        assert b"{" == next(answer.pieces)[:1]
        answer.close()
        answer.close()
        assert [] == list(answer.pieces)

    def test_an_answer_may_last_longer_than_its_deadline(self, server: HttpServer) -> None:
        """Which is for its beginning; afterwards only silence is too long."""
        server.behave(Drip(seconds_between=0.02))
        answer = Transport(server.url, {}, read_timeout=5).open(self.STREAM, deadline=Deadline.after(60), silence=5)
        assert b'{"error' == b"".join(answer.pieces)[:7]

    def test_silence(self, server: HttpServer) -> None:
        """Is an error like any other, within the answer too."""
        server.behave(_begin_and_hang)
        answer = Transport(server.url, {}).open(self.STREAM, deadline=Deadline.after(20), silence=0.1)
        with pytest.raises(UnreachableError) as silent:
            list(answer.pieces)
        assert "timeout" == silent.value.reason

    def test_nobody_there(self) -> None:
        """Is told before there is an answer."""
        with pytest.raises(UnreachableError) as gone:
            Transport("http://127.0.0.1:1", {}).open(self.STREAM, deadline=Deadline.after(20), silence=1)
        assert was_refused(gone.value)

    def test_a_reset_is_no_refusal(self, server: HttpServer) -> None:
        """Something may have been done before."""
        server.behave(ResetBefore())
        with pytest.raises(UnreachableError) as reset:
            sent(Transport(server.url, {}))
        assert not was_refused(reset.value)


def _begin_and_hang(connection: Connection) -> None:
    connection.send(whole(200, b"{", {"content-length": "100"}))
    connection.wait_until_gone()


def test_what_is_not_repeatable_is_sent_once(server: HttpServer) -> None:
    """Even where the connection looks like one that the server had closed."""
    transport = Transport(server.url, {})
    sent(transport)
    server.behave(ResetBefore(), times=1)
    assert "network" == _reason(transport, Request("POST", "/v1/agents", b"{}", repeatable=False))
    assert 2 == len(server.requests)
    sent(transport)
    server.behave(ResetBefore(), times=1)
    assert 200 == sent(transport).status
    assert 5 == len(server.requests)
    transport.close()


def _reason(transport: Transport, request: Request) -> str:
    with pytest.raises(UnreachableError) as unreachable:
        sent(transport, request)
    return unreachable.value.reason
