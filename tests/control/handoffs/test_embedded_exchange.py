"""The hand-off API inside a process: its stream, and its webhooks, which need no server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from handlebar._plumbing.clock import Deadline
from handlebar.control.database import Database
from handlebar.control.handoff_exchange import open_exchange
from handlebar.control.keys import KeyRing
from handlebar.errors import RefusedError
from handlebar.handoff.exchange import Call, Exchange
from tests.support.control import PATIENT, url_of
from tests.support.handoffs import a_draft
from tests.support.http_server import Answer, HttpServer
from tests.support.waiting import eventually, threads_named
from tests.support.webhooks import SECRET


@pytest.fixture(name="exchange")
def _exchange(tmp_path: Path) -> Iterator[Exchange]:
    with closing(open_exchange(url_of(tmp_path / "plane.db"), None)) as made:
        yield made


def posts(exchange: Exchange, path: str, body: Any) -> Any:
    """Make a call that is answered well; return the answer."""
    call = Call(method="POST", path=(path,), body=json.dumps(body).encode())
    answer = exchange.send(call, deadline=Deadline.after(PATIENT))
    assert 201 == answer.status, answer.body
    return json.loads(answer.body)


def test_it_streams(exchange: Exchange) -> None:
    """What happens afterwards is heard, what was missed too; closing from another thread ends it."""
    stream = exchange.listen(("agent:refunds-2",), after=None)
    assert "connected" == next(stream).name
    made = posts(exchange, "packets", a_draft())
    event = next(stream)
    assert ("packet.created", made["id"]) == (event.name, json.loads(event.data)["packet_id"])
    threading.Timer(0.1, stream.close).start()  # type: ignore[attr-defined]  # every exchange's stream can be closed
    assert [] == list(stream)
    second = posts(exchange, "packets", a_draft())
    again = exchange.listen((), after=event.id)
    assert ["connected", "packet.created"] == [next(again).name, next(again).name]
    assert second["id"] != made["id"]


def test_a_key_that_is_none_hears_nothing(tmp_path: Path) -> None:
    """Where the database has keys, a stream needs one that is good."""
    url = url_of(tmp_path / "plane.db")
    with closing(Database(url)) as database:
        KeyRing(database).create("test", role="viewer", tenant="default")
    with closing(open_exchange(url, "hr_wrong")) as exchange:
        with pytest.raises(RefusedError) as caught:
            exchange.listen((), after=None)
        assert 401 == caught.value.status


def test_it_delivers_and_has_done_so_when_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that makes a packet and ends at once has told the webhook; nothing runs afterwards."""
    monkeypatch.setenv("HANDLEBAR_WEBHOOK_ALLOW", "127.0.0.1/32")
    with HttpServer() as receiver:
        receiver.behave(Answer(200))
        with closing(open_exchange(url_of(tmp_path / "plane.db"), None)) as exchange:
            posts(exchange, "hooks", {"url": receiver.url, "secret": SECRET})
            made = posts(exchange, "packets", a_draft())
        assert [made["id"]] == [request.json()["packet_id"] for request in receiver.requests]
    assert eventually(lambda: not threads_named("handlebar-webhooks"))
