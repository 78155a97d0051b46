"""The stream of hand-off events over HTTP, on real servers."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from handlebar._plumbing.clock import Deadline
from handlebar.control.handoff_exchange import open_exchange
from handlebar.control.handoffs import streams
from handlebar.control.keys import KeyRing
from handlebar.handoff.exchange import Call, Exchange, StreamEvent
from handlebar.handoff.server_sent_events import events_in
from handlebar.server import handoff_streams
from tests.support.control import ROOT, url_of
from tests.support.handoffs import a_draft
from tests.support.servers import Place, a_key, servers
from tests.support.waiting import eventually
from tests.support.webhooks import a_post, an_event

SECONDS = 30.0


@contextmanager
def listening(url: str, secret: str, *channels: str, **headers: str) -> Iterator[http.client.HTTPResponse]:
    """Open the stream at *url* with a key in the query."""
    parts = urlsplit(url)
    with closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=SECONDS)) as connection:
        query = urlencode([("api_key", secret), *(("subscribe", channel) for channel in channels)])
        connection.request("GET", f"/events?{query}", headers=headers)
        with closing(connection.getresponse()) as answer:
            yield answer


def events(answer: http.client.HTTPResponse) -> Iterator[StreamEvent]:
    """Return the events that come, each as soon as it is there."""
    return events_in(iter(lambda: answer.read1(65536), b""))


def told(exchange: Exchange, summary: str) -> None:
    """Let somebody make a packet."""
    body = json.dumps(a_draft(summary, tags=[summary])).encode()
    answer = exchange.send(Call(method="POST", path=("packets",), body=body), deadline=Deadline.after(SECONDS))
    assert 201 == answer.status, answer.body


def heard(stream: Iterator[StreamEvent], number: int) -> list[str]:
    """Return by which tags the next packets can be known."""
    return [json.loads(event.data)["data"]["metadata"]["tags"][0] for event in islice(stream, number)]


@pytest.fixture(name="made")
def _made(tmp_path: Path) -> Iterator[Exchange]:
    """Somebody who makes packets in this process, on the database that the servers use."""
    with closing(open_exchange(url_of(tmp_path / "plane.db"), a_key(tmp_path / "plane.db").secret)) as exchange:
        yield exchange


@pytest.mark.slow
def test_events_stream_through_the_real_server(tmp_path: Path, made: Exchange) -> None:
    """An event that happens in another process arrives while the answer goes on, and nothing of it is held back."""
    with servers(1, tmp_path / "plane.db") as (served,):
        secret = a_key(served.file, "viewer").secret
        with listening(served.url, secret) as answer:
            assert 200 == answer.status
            assert answer.getheader("content-type", "").startswith("text/event-stream")
            assert "no" == answer.getheader("x-accel-buffering")
            stream = events(answer)
            assert "connected" == next(stream).name
            for summary in ("one", "two"):
                told(made, summary)
                assert [summary] == heard(stream, 1)


@pytest.mark.slow
def test_a_listener_goes_on_at_another_server(tmp_path: Path, made: Exchange) -> None:
    """When a server is killed, a listener that comes to another with the last id it saw misses and doubles nothing."""
    with servers(2, tmp_path / "plane.db") as (first, second):
        secret = a_key(first.file, "viewer").secret
        with listening(first.url, secret) as answer:
            stream = events(answer)
            next(stream)
            told(made, "one")
            last = next(stream)
            first.process.kill()
            with pytest.raises(http.client.IncompleteRead):
                next(stream)
        for summary in ("two", "three"):
            told(made, summary)
        with listening(second.url, secret, **{"last-event-id": last.id}) as answer:
            stream = events(answer)
            assert "connected" == next(stream).name
            told(made, "four")
            assert ["two", "three", "four"] == heard(stream, 3)


@pytest.mark.slow
def test_a_stream_needs_a_key_and_is_of_its_tenant(tmp_path: Path, made: Exchange) -> None:
    """Without a key that is good nothing streams; a key of another tenant hears nothing of this one."""
    with servers(1, tmp_path / "plane.db") as (served,):
        for secret in ("", "hr_" + "x" * 43):
            with listening(served.url, secret) as answer:
                assert (401, {"detail"}) == (answer.status, set(json.loads(answer.read())))
        with listening(served.url, "", **{"x-api-key": a_key(served.file, "agent", tenant="other").secret}) as answer:
            stream = events(answer)
            next(stream)
            told(made, "secret")
            with a_post(served.file) as post:
                post.tells(an_event(metadata={"tags": ["theirs"]}), tenant="other")
            assert ["theirs"] == heard(stream, 1)


@pytest.mark.slow
def test_listeners_leave_room_for_others(tmp_path: Path, made: Exchange) -> None:
    """One too many is told to come back later; meanwhile calls are answered, and who leaves makes room."""
    with servers(1, tmp_path / "plane.db") as (served,):
        secret = a_key(served.file).secret
        many = [listening(served.url, secret) for _ in range(handoff_streams.MOST_LISTENERS)]
        for each in many:
            next(events(each.__enter__()))
        with listening(served.url, secret) as answer:
            assert (503, "5") == (answer.status, answer.getheader("retry-after"))
        with served.client() as client, client.run() as run:
            assert run.before_tool_sync("refund", {}).allowed
        for each in many:
            each.__exit__(None, None, None)

        def has_room() -> bool:
            # A server notices that a listener has left when it next has something to tell.
            told(made, "anything")
            with listening(served.url, secret) as answer:
                return answer.status == 200

        assert eventually(has_room, seconds=SECONDS)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("gunicorn") is None, reason="gunicorn is not installed")
@pytest.mark.parametrize("kind", ["sync", "gthread"])
def test_gunicorn_streams_too(tmp_path: Path, made: Exchange, kind: str) -> None:
    """Behind gunicorn, with one thread a process or several, events arrive as they happen."""
    threads = "4" if kind == "gthread" else "1"
    options = ["-k", kind, "--threads", threads, "-w", "1", "-b", "127.0.0.1:0", "--graceful-timeout", "1"]
    command = [sys.executable, "-m", "gunicorn", *options, "handlebar.server:create_app()"]
    environment = {"HANDLEBAR_DATABASE": url_of(tmp_path / "plane.db"), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            url = next(line.split()[-2] for line in process.stderr if "Listening at" in line)
            with listening(url, a_key(tmp_path / "plane.db").secret) as answer:
                stream = events(answer)
                assert "connected" == next(stream).name
                told(made, "one")
                assert ["one"] == heard(stream, 1)
        finally:
            process.terminate()
            process.communicate(timeout=SECONDS)


class TestInThisProcess:
    """What need not be seen from outside."""

    def test_who_only_asks_for_the_head_takes_no_place(self, place: Place) -> None:
        """However often."""
        caller = place.caller()
        for _ in range(handoff_streams.MOST_LISTENERS + 1):
            assert 200 == caller.call("HEAD", "/events").status_code

    def test_a_server_with_one_thread_is_not_held_up(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        """There the answer ends after a short while, with all that happened in it."""
        monkeypatch.setattr(handoff_streams, "SHORT_SECONDS", 0.3)
        found = list(events_in([place.caller().call("GET", "/events").data]))
        assert ["connected"] == [event.name for event in found]

    def test_a_revoked_key_hears_no_more(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        """A stream looks now and then whether its key is still good, and ends where it is not."""
        monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 0.1)
        caller = place.caller()
        with a_post(place.file) as post:
            (key,) = KeyRing(post.database).listed()
            answer = caller.app.test_client().get(f"/events?api_key={caller.secret}", buffered=False)
            assert b"retry" in next(answer.response)
            KeyRing(post.database).revoke(key.id)
            rest: Any = b"".join(answer.response)
            answer.close()
        assert rest.startswith(b"id: ")
