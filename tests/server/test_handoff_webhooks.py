"""Webhooks of real servers: each delivery is made once, whoever caused it and however many servers there are."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from handlebar._plumbing.clock import Deadline
from handlebar.handoff.endpoints import open_exchange
from handlebar.handoff.exchange import Call
from tests.support.control import a_policy, a_rule
from tests.support.handoffs import a_draft
from tests.support.http_server import Answer, HttpServer
from tests.support.servers import Served, a_key, servers
from tests.support.webhooks import SECRET, a_post, an_event

ASKS = a_policy(a_rule({"kind": "toolName", "op": "eq", "value": "refund"}, "hitl"))


@pytest.fixture(name="receiver")
def _receiver(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("HANDLEBAR_WEBHOOK_ALLOW", "127.0.0.1/32")
    with HttpServer() as server:
        server.behave(Answer(200))
        yield server


def posts(served: Served, path: str, body: Any) -> None:
    """Make a call at a server that is answered well."""
    exchange = open_exchange(served.url, a_key(served.file).secret, timeout=30)
    call = Call(method="POST", path=tuple(path.split("/")), body=json.dumps(body).encode())
    answer = exchange.send(call, deadline=Deadline.after(30))
    exchange.close()
    assert 201 == answer.status, answer.body


def asks(served: Served, path: str) -> Any:
    """Return what a server answers."""
    exchange = open_exchange(served.url, a_key(served.file).secret, timeout=30)
    answer = exchange.send(Call(method="GET", path=tuple(path.split("/"))), deadline=Deadline.after(30))
    exchange.close()
    return json.loads(answer.body)


def hooked(served: Served, receiver: HttpServer, *events: str) -> None:
    """Register *receiver* for *events*."""
    posts(served, "hooks", {"url": receiver.url, "secret": SECRET, "events": events})


def kinds(receiver: HttpServer) -> Sequence[str]:
    """Return what the receiver was told, in order."""
    return [request.headers["x-hr-event"] for request in receiver.requests]


@pytest.mark.slow
def test_a_server_tells_of_packets_and_of_questions(tmp_path: Path, receiver: HttpServer) -> None:
    """A packet over the hand-off API, a question of a governed run and its answer reach the same webhook."""
    with servers(1, tmp_path / "plane.db", ASKS) as (served,):
        hooked(served, receiver, "packet.created", "approval.pending", "approval.answered")
        posts(served, "packets", a_draft())
        assert receiver.wait_for(lambda: kinds(receiver) == ["packet.created"], 30)
        with served.client() as client, client.run() as run:
            assert not run.before_tool_sync("refund", {}).allowed
        assert receiver.wait_for(lambda: kinds(receiver)[1:] == ["approval.pending"], 30)
        assert "desk" == receiver.requests[1].json()["details"]["agent"]


@pytest.mark.slow
def test_two_servers_deliver_once(tmp_path: Path, receiver: HttpServer) -> None:
    """What another process has left is delivered by the servers, each event by one of them; and by one that is left."""
    with servers(2, tmp_path / "plane.db") as (first, second), a_post(first.file) as post:
        hooked(second, receiver, "packet.created")
        post.tells(*[an_event(packet_id=f"p-{number}") for number in range(20)])
        (hook,) = asks(second, "hooks")

        def all_are_noted() -> bool:
            return {"delivered"} == {each["status"] for each in asks(second, f"hooks/{hook['id']}/deliveries")}

        # One that dies before it has noted a delivery leaves a lease that others wait for.
        assert receiver.wait_for(all_are_noted, 30)
        os.kill(first.process.pid, signal.SIGKILL)
        post.tells(an_event(packet_id="p-20"))
        assert receiver.wait_for(lambda: len(receiver.requests) == 21, 30)
    assert {f"p-{number}" for number in range(21)} == {request.json()["packet_id"] for request in receiver.requests}
    assert 21 == len(receiver.requests)
