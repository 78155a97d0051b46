"""The transport: connections, TLS, deadlines, sessions."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from handlebar._plumbing.clock import Deadline
from handlebar._plumbing.http_lines import Request, Response
from handlebar._plumbing.transport import Transport
from handlebar.errors import UnreachableError
from tests.support.forks import in_child
from tests.support.http_server import CloseAfter, Drip, Hang, HttpServer, Huge, Redirect

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


def test_a_child_opens_connections_of_its_own(server: HttpServer) -> None:
    """Row 1: one that two processes share hands one of them the other's answer."""
    transport = Transport(server.url, {})
    sent(transport)
    assert "200" == in_child(lambda: str(sent(transport).status))
    assert 200 == sent(transport).status
    assert 2 == server.connections
    assert [1, 2, 1] == [request.connection for request in server.requests]
    transport.close()
