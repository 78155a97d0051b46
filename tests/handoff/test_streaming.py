"""The stream of events."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from handlebar.handoff import EventStream, HandoffRailClient, PacketStreamEvent, exceptions
from handlebar.handoff.exceptions import AuthenticationError, ServerError
from handlebar.handoff.exchange import StreamEvent
from handlebar.handoff.server_sent_events import events_in
from tests.handoff.packets import KEY, PACKET_ID, says
from tests.support.http_server import Answer, Connection, Hang, Html, HttpServer, ResetBefore, head

CONNECTED = 'event: connected\ndata: {"connection_id": "c", "message": "hello"}\n\n'
PING = 'event: ping\ndata: {"timestamp": "2026-03-04T10:00:00"}\n\n'


def frame(kind: str, *, number: int | None = None) -> str:
    """Return an event as a server sends it."""
    told = {
        "type": kind,
        "packet_id": PACKET_ID,
        "data": {"status": "created"},
        "timestamp": "2026-03-04T10:00:00+00:00",
    }
    seen = "" if number is None else f"id: {number}\n"
    return f"{seen}event: {kind}\ndata: {json.dumps(told)}\n\n"


@frozen
class Stream:
    """The beginning of a stream, in chunks or not, which then stays open, or is closed, or reset."""

    frames: tuple[str, ...]
    then: str = "stay"
    chunked: bool = False

    def __call__(self, connection: Connection) -> None:
        kind = {"content-type": "text/event-stream; charset=utf-8"}
        framing = {"transfer-encoding": "chunked"} if self.chunked else {"connection": "close"}
        connection.send(head(200, {**kind, **framing}))
        for each in map(str.encode, self.frames):
            connection.send(b"%x\r\n%b\r\n" % (len(each), each) if self.chunked else each)
        if self.then == "stay":
            connection.wait_until_gone()
        elif self.then == "reset":
            connection.reset()
        else:
            connection.close()


@pytest.fixture(name="client")
def _client(server: HttpServer) -> Iterator[HandoffRailClient]:
    with HandoffRailClient(server.url, KEY, timeout=5, max_retries=2, retry_delay=0.01) as client:
        yield client


def kinds(stream: EventStream, count: int) -> list[str]:
    """Return the kinds of the next *count* events."""
    return [next(stream).type for _ in range(count)]


@pytest.mark.parametrize("chunked", [True, False], ids=["chunked", "until it is closed"])
def test_events_come_as_they_happen(server: HttpServer, client: HandoffRailClient, chunked: bool) -> None:
    """Signs of life are left out; the server is told of the channels, and gets the key where it wants it."""
    server.behave(Stream((CONNECTED, PING, frame("packet.created"), PING, frame("packet.claimed")), chunked=chunked))
    with client.stream_events(channels=["packet:a b", "status:failed"]) as stream:
        first = next(stream)
        assert isinstance(first, PacketStreamEvent)
        assert ("packet.created", PACKET_ID, "created") == (first.type, first.packet_id, first.data["status"])
        assert ["packet.claimed"] == kinds(stream, 1)
    (request,) = server.requests
    assert f"/events?api_key={KEY}&subscribe=packet%3Aa+b&subscribe=status%3Afailed" == request.path
    assert "text/event-stream" == request.headers["accept"]


def test_a_stream_connects_again(server: HttpServer, client: HandoffRailClient) -> None:
    """However it was cut off, and asks for what came after the last event that it has seen."""
    server.behave(Stream((CONNECTED, frame("packet.created", number=7)), then="close"), times=1)
    server.behave(Stream((CONNECTED, PING), then="reset"), times=1)
    server.behave(Html(503), times=1)
    server.behave(ResetBefore(), times=4)
    server.behave(Stream((frame("packet.claimed", number=8), frame("packet.failed"))), times=1)
    with client.stream_events("agent:a") as stream:
        assert ["packet.created", "packet.claimed", "packet.failed"] == kinds(stream, 3)
    assert [None, *["7"] * 7] == [request.headers.get("last-event-id") for request in server.requests]


def test_a_server_that_was_never_reached(server: HttpServer, client: HandoffRailClient) -> None:
    """Is given up on like any other call."""
    with server.refuse(), client.stream_events() as stream, pytest.raises(exceptions.ConnectionError):
        next(stream)
    with pytest.raises(StopIteration):
        next(stream)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (says({"detail": "no"}, 401), AuthenticationError),
        (says({"detail": "no"}, 403), AuthenticationError),
        (says({"detail": "no"}, 404), exceptions.NotFoundError),
        (Html(200), ServerError),
    ],
    ids=["401", "403", "404", "a page"],
)
def test_a_refusal_is_not_waited_for(server: HttpServer, client: HandoffRailClient, answer: Any, kind: type) -> None:
    """A key that is not good now will not be good in a minute."""
    server.behave(answer)
    with client.stream_events() as stream, pytest.raises(kind):
        next(stream)
    assert 1 == len(server.requests)


def test_a_limit_is_waited_for(server: HttpServer, client: HandoffRailClient) -> None:
    """As long as the server says."""
    server.behave(says({}, 429, retry_after="0.05"), times=1)
    server.behave(Stream((frame("packet.created"),)))
    with client.stream_events() as stream:
        assert ["packet.created"] == kinds(stream, 1)


@pytest.mark.parametrize("text", ["garbage", "[]", "{}", '{"type": 5}'])
def test_an_event_that_cannot_be_read(server: HttpServer, client: HandoffRailClient, text: str) -> None:
    """Is an error; the stream goes on after it."""
    server.behave(Stream((f"event: packet.created\ndata: {text}\n\n", frame("packet.claimed"))))
    with client.stream_events() as stream:
        with pytest.raises(ServerError):
            next(stream)
        assert ["packet.claimed"] == kinds(stream, 1)


@pytest.mark.parametrize("behaviour", [Stream((PING,)), Stream((PING,), chunked=True), Hang()], ids=range(3))
@pytest.mark.parametrize("closer", ["stream", "client"])
def test_closing_from_another_thread(server: HttpServer, behaviour: Any, closer: str) -> None:
    """Ends the wait of the thread that reads, whether it waits for an event or for the answer."""
    server.behave(behaviour)
    client = HandoffRailClient(server.url, KEY, timeout=1)
    stream = client.stream_events()
    ended: list[Any] = []
    thread = threading.Thread(target=lambda: ended.append(list(stream)))
    thread.start()
    assert server.wait_for(lambda: bool(server.requests))
    time.sleep(0.1)
    (stream if closer == "stream" else client).close()
    stream.close()
    thread.join(20)
    assert [[]] == ended
    client.close()


def test_a_closed_client_has_no_stream(server: HttpServer, client: HandoffRailClient) -> None:
    """It says so at once."""
    client.close()
    with pytest.raises(exceptions.ConnectionError, match="closed"):
        client.stream_events()


def test_the_lines_of_a_stream() -> None:
    """All ends of line, comments, several lines of data, names and ids, as the standard has them."""
    text = "\r\n".join([": hi", "data: a", "data:b", "data", "", "id: 5", "event: x", "data:  c", "", "event: y", ""])
    text += "\rid: a\0b\rdata: d\r\runfinished: e\ndata: f"
    expected = [StreamEvent("", "message", "a\nb\n"), StreamEvent("5", "x", " c"), StreamEvent("5", "message", "d")]
    assert expected == list(events_in([text.encode()]))


@given(
    st.lists(st.tuples(st.sampled_from(["\r\n", "\n", "\r"]), st.text("ab :\u20ac", max_size=6)), max_size=6), st.data()
)
def test_pieces_do_not_matter(events: list[tuple[str, str]], data: st.DataObject) -> None:
    """Wherever the network cuts a stream, in a character or between CR and LF, the events are the same."""
    stream = "".join(f"data:{text}{end}{end}" for end, text in events).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert list(events_in([stream])) == list(events_in(pieces))


def test_endless_lines_are_refused() -> None:
    """A stream without an end of line does not fill the memory."""
    with pytest.raises(ValueError, match="too large"):
        list(events_in(b"x" * (1 << 20) for _ in range(20)))
    with pytest.raises(ValueError, match="too large"):
        list(events_in(b"data:" + b"x" * (1 << 20) + b"\n" for _ in range(20)))


def test_an_endless_line_is_a_broken_stream(server: HttpServer, client: HandoffRailClient) -> None:
    """It is left, and the stream connects again."""
    server.behave(Stream(("x" * (9 << 20),)), times=1)
    server.behave(Stream((frame("packet.created"),)))
    with client.stream_events() as stream:
        assert ["packet.created"] == kinds(stream, 1)


def test_streams_over_a_session_of_ones_own(server: HttpServer) -> None:
    """An adapter that sends for itself works too."""
    import requests
    from requests.adapters import HTTPAdapter

    class Own(HTTPAdapter):
        def send(self, *args: Any, **kwargs: Any) -> Any:
            return super().send(*args, **kwargs)

    session = requests.Session()
    session.mount("http://", Own())
    server.behave(Stream((CONNECTED, frame("packet.created"))), times=1)
    server.behave(Answer(401, b"{}"))
    with session, HandoffRailClient(server.url, KEY, session=session) as client, client.stream_events() as stream:
        assert ["packet.created"] == kinds(stream, 1)
        with pytest.raises(AuthenticationError):
            client.get_packet("p")
