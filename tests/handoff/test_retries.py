"""What is made again and what is not, against servers that misbehave."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import pytest

from handlebar.handoff import HandoffRailClient, PacketUpdate, exceptions
from handlebar.handoff.exceptions import NotFoundError, RateLimitError, ServerError, ValidationError
from handlebar.handoff.exchange import RECOGNISES_KEYS
from tests.handoff.packets import KEY, packet, says, stored
from tests.support.http_server import (
    Answer,
    Behaviour,
    BrokenChunked,
    Connection,
    EmptyAnswer,
    HalfAnswer,
    Hang,
    Html,
    HttpServer,
    ResetBefore,
    ResetInAnswer,
    StoreThenReset,
)

GET: Callable[[HandoffRailClient], Any] = lambda client: client.get_packet("p")  # noqa: E731  # a row of a table
PATCH: Callable[[HandoffRailClient], Any] = lambda client: client.update_packet("p", PacketUpdate(status="failed"))  # type: ignore[arg-type]  # noqa: E731
DELETE: Callable[[HandoffRailClient], Any] = lambda client: client.delete_packet("p")  # noqa: E731
POST: Callable[[HandoffRailClient], Any] = lambda client: client.create_packet(packet())  # noqa: E731

FAULTS: dict[str, Behaviour] = {
    "reset": ResetBefore(),
    "reset after the work": StoreThenReset(),
    "reset in the head": ResetInAnswer(in_head=True),
    "reset in the body": ResetInAnswer(),
    "closed": EmptyAnswer(),
    "half an answer": HalfAnswer(),
    "broken chunks": BrokenChunked(),
    "502": Html(502),
    "503": says({"detail": "down"}, 503),
    "504": Answer(504),
}


def patient(server: HttpServer, **more: Any) -> HandoffRailClient:
    """Return a client that does not wait long."""
    return HandoffRailClient(server.url, KEY, **{"timeout": 5, "max_retries": 2, "retry_delay": 0.01, **more})


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("call", [GET, PATCH, DELETE], ids=["get", "patch", "delete"])
def test_safe_calls_are_made_again(server: HttpServer, call: Any, fault: Behaviour) -> None:
    """Until they are through."""
    server.behave(fault, times=2)
    server.behave(says(stored()))
    with patient(server) as client:
        call(client)
    assert 3 == len(server.requests)


@pytest.mark.parametrize("fault", [*FAULTS.values(), Html(500)], ids=[*FAULTS, "500"])
def test_posts_are_made_once(server: HttpServer, fault: Behaviour) -> None:
    """Where nobody knows what became of the first, there is no second, and the caller is told."""
    server.behave(fault)
    with patient(server) as client, pytest.raises((exceptions.ConnectionError, ServerError)):
        POST(client)
    assert 1 == len(server.requests)


def test_a_post_that_hangs_is_made_once(server: HttpServer) -> None:
    """The server took it and says nothing."""
    server.behave(Hang())
    with patient(server, timeout=0.2) as client, pytest.raises(exceptions.ConnectionError) as lost:
        POST(client)
    assert 1 == len(server.requests)
    assert isinstance(lost.value.original_error, OSError)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_posts_are_made_again_where_keys_are_recognised(server: HttpServer, fault: Behaviour) -> None:
    """With the same key; the server has said in an earlier answer that it looks at it."""
    server.behave(says(stored(), **{RECOGNISES_KEYS: "1"}), times=1)
    server.behave(fault, times=2)
    server.behave(says(stored(), 201, **{RECOGNISES_KEYS: "1"}))
    with patient(server) as client:
        GET(client)
        POST(client)
    first, *again = [request.headers["idempotency-key"] for request in server.requests[1:]]
    assert [first] * 2 == again


def test_what_a_server_recognised_once_is_not_believed_for_ever(server: HttpServer) -> None:
    """Its last word counts: another server may have come in its place."""
    server.behave(says(stored(), **{RECOGNISES_KEYS: "1"}), times=1)
    server.behave(says(stored()), times=1)
    server.behave(ResetBefore())
    with patient(server) as client:
        GET(client)
        GET(client)
        with pytest.raises(exceptions.ConnectionError):
            POST(client)
    assert 3 == len(server.requests)


@pytest.mark.parametrize("call", [GET, POST], ids=["get", "post"])
def test_a_refused_connection(server: HttpServer, call: Any) -> None:
    """Nothing was sent, so every call is made again; here the server comes back."""
    server.behave(says(stored()))
    with patient(server, max_retries=8, retry_delay=0.05) as client:
        thread = threading.Thread(target=call, args=(client,))
        with server.refuse():
            thread.start()
            time.sleep(0.1)
            assert not server.requests
        thread.join(20)
    assert 1 == len(server.requests)


def test_a_server_that_does_not_come_back(server: HttpServer) -> None:
    """Is an error at last, with what the network said."""
    with patient(server) as client, server.refuse(), pytest.raises(exceptions.ConnectionError) as gone:
        POST(client)
    assert isinstance(gone.value.original_error, ConnectionRefusedError)
    assert (None, {}) == (gone.value.status_code, gone.value.response_body)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 410, 413, 418, 422, 500, 501, 302])
@pytest.mark.parametrize("call", [GET, POST], ids=["get", "post"])
def test_what_lasts_is_not_asked_again(server: HttpServer, call: Any, status: int) -> None:
    """A refusal is told at once, and so is a failure of the server's own."""
    server.behave(says({"detail": "no"}, status))
    with patient(server, retry_delay=60) as client, pytest.raises(exceptions.HandoffRailError) as refused:
        call(client)
    assert status == refused.value.status_code
    assert 1 == len(server.requests)


def test_a_hanging_server(server: HttpServer) -> None:
    """Each attempt has its own time limit."""
    server.behave(Hang(), times=2)
    server.behave(says(stored()))
    with patient(server, timeout=0.2) as client:
        GET(client)
    assert 3 == len(server.requests)


def test_the_whole_call_has_a_time_limit(server: HttpServer) -> None:
    """Where one is given, attempts and waits end with it."""
    server.behave(Hang())
    start = time.monotonic()
    with patient(server, timeout=60, total_timeout=0.3) as client, pytest.raises(exceptions.ConnectionError):
        GET(client)
    assert time.monotonic() - start < 20
    assert 1 == len(server.requests)


@pytest.mark.parametrize("call", [GET, POST], ids=["get", "post"])
@pytest.mark.parametrize("asked", ["0.05", "0", "date"])
def test_too_many_requests_are_waited_for(server: HttpServer, call: Any, asked: str) -> None:
    """As long as the server says: seconds, also with a fraction, or a date. The refused call was not carried out."""
    moment = format_datetime(datetime.now(timezone.utc) - timedelta(seconds=5), usegmt=True)
    server.behave(says({"detail": "slow"}, 429, retry_after=moment if asked == "date" else asked), times=1)
    server.behave(says(stored()))
    with patient(server) as client:
        call(client)
    assert 2 == len(server.requests)


def test_a_date_is_waited_for(server: HttpServer) -> None:
    """By the wall clock."""
    moment = datetime.now(timezone.utc) + timedelta(seconds=2)
    server.behave(says({"detail": "slow"}, 429, retry_after=format_datetime(moment, usegmt=True)), times=1)
    server.behave(says(stored()))
    with patient(server) as client:
        GET(client)
    assert datetime.now(timezone.utc) >= moment.replace(microsecond=0) - timedelta(seconds=0.1)


@pytest.mark.parametrize(
    ("header", "expected"), [("3600", 3600.0), ("1e9", 1e9), ("7.5", 7.5), (None, None), ("soon", None)]
)
def test_what_is_not_worth_waiting_for(server: HttpServer, header: str | None, expected: float | None) -> None:
    """A wait beyond the budget, or none that could be understood, is left to the caller."""
    server.behave(says({"detail": "Daily limit reached"}, 429, **({"retry_after": header} if header else {})))
    with patient(server, timeout=2, max_retries=1) as client, pytest.raises(RateLimitError) as limited:
        GET(client)
    assert expected == limited.value.retry_after
    assert "Daily limit reached" == limited.value.message
    assert 1 == len(server.requests)


def test_a_limit_that_stays(server: HttpServer) -> None:
    """Is waited for as often as everything else, then raised."""
    server.behave(says({"detail": "slow", "field": "rate_limit"}, 429, retry_after="0"))
    with patient(server) as client, pytest.raises(RateLimitError) as limited:
        GET(client)
    assert 3 == len(server.requests)
    assert (0.0, "rate_limit") == (limited.value.retry_after, limited.value.field)


def test_no_retries(server: HttpServer) -> None:
    """Zero means once."""
    server.behave(Html(503))
    with patient(server, max_retries=0) as client, pytest.raises(ServerError):
        GET(client)
    assert 1 == len(server.requests)


@pytest.mark.parametrize("gone", [404, 409, 410])
def test_a_deletion_that_came_through_unseen(server: HttpServer, gone: int) -> None:
    """Its repetition finds nothing left to delete, and that is what was asked for."""
    server.behave(StoreThenReset(), times=1)
    server.behave(says({"detail": "already expired"}, gone))
    with patient(server) as client:
        client.delete_packet("p")
        with pytest.raises((NotFoundError, ValidationError)):
            client.delete_packet("p")
    assert 3 == len(server.requests)


def test_a_stale_connection_costs_nothing(server: HttpServer) -> None:
    """A kept-alive connection that the server has closed meanwhile is replaced at once, for POSTs too."""
    server.behave(_well_then_close)
    with patient(server, max_retries=0) as client:
        for _ in range(3):
            POST(client)
            time.sleep(0.05)
    assert 3 == len(server.requests)
    assert 3 == server.connections


def _well_then_close(connection: Connection) -> None:
    says(stored())(connection)
    connection.close()


def test_a_closed_client_waits_for_nothing(server: HttpServer) -> None:
    """It says at once that it is closed, and a call that waits for its next attempt ends."""
    server.behave(Html(503))
    client = patient(server, retry_delay=30, timeout=60)
    ended: list[BaseException] = []

    def ask() -> None:
        try:
            GET(client)
        except exceptions.HandoffRailError as error:
            ended.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    assert server.wait_for(lambda: bool(server.requests))
    time.sleep(0.05)
    client.close()
    client.close()
    thread.join(10)
    assert [ServerError] == [type(error) for error in ended]
    with pytest.raises(exceptions.ConnectionError, match="closed"):
        GET(client)
    assert 1 == len(server.requests)


def test_certificates_are_not_waited_for(tmp_path: Any) -> None:
    """A certificate that nobody vouches for stays as it is."""
    import ssl

    trustme = pytest.importorskip("trustme", reason="trustme is not installed")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with HttpServer(tls=context) as server, patient(server, retry_delay=60) as client:
        with pytest.raises(exceptions.ConnectionError) as refused:
            GET(client)
        assert 1 == server.connections
    assert isinstance(refused.value.original_error, ssl.SSLError)
