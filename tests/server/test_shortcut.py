"""The way past the framework: what comes out of it is what the framework would have answered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from attrs import define
from flask import Flask, abort, request_started
from werkzeug.test import EnvironBuilder, run_wsgi_app

from handlebar.server import create_app
from handlebar.server.bodies import LARGE, SMALL
from tests.support.control import a_policy, a_rule, url_of
from tests.support.servers import Caller, a_key

NEVER = a_policy(a_rule({"kind": "toolName", "op": "eq", "value": "wire"}))
EVALUATE = "/v1/runs/run/evaluate"
EVENTS = "/v1/runs/events"
EVENT = {
    "schema": "handlebar.audit.v1",
    "kind": "error",
    "ts": "2026-07-01T12:00:00Z",
    "runId": "run",
    "data": {"scope": "agent", "message": "nothing"},
}


@define
class Both:
    """An app as it is, and one on the same database that goes through the framework with everything."""

    short: Flask
    long: Flask
    file: Path
    through_framework: int = 0

    def answers(self, path: str, body: Any, **headers: str) -> list[tuple[str, list[tuple[str, str]], bytes]]:
        """Return status, headers and body of both answers."""
        return [self._answer(app, path, body, headers) for app in (self.short, self.long)]

    def _answer(self, app: Flask, path: str, body: Any, headers: dict[str, str]) -> Any:
        sent = {"data": body} if isinstance(body, bytes) else {"json": body}
        content = {"content_type": "application/json"} if isinstance(body, bytes) else {}
        asked = EnvironBuilder(path, method="POST", **sent, **content)
        for name, value in headers.items():
            asked.headers[name.replace("_", "-")] = value
        environ = asked.get_environ()
        if "chunked" in headers.values():
            del environ["CONTENT_LENGTH"]
            environ["wsgi.input_terminated"] = True
        answer, status, told = run_wsgi_app(app.wsgi_app, environ, buffered=True)
        return status, list(told), b"".join(answer)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """Two apps, on one database."""
    file = tmp_path_factory.mktemp("shortcut") / "plane.db"
    short, long = (create_app(url_of(file), policies=[NEVER]) for _ in range(2))
    long.before_request(lambda: None)
    with closing(short.extensions["handlebar"]), closing(long.extensions["handlebar"]):
        made = Both(short, long, file)

        def count(app: Flask, **more: Any) -> None:
            made.through_framework += 1

        with request_started.connected_to(count, short):
            yield made


@pytest.fixture(scope="module")
def secret(both: Both) -> str:
    """Return a good key."""
    return a_key(both.file, "agent").secret


@pytest.fixture(scope="module")
def agent(both: Both, secret: str) -> str:
    """Return the id of an agent."""
    return Caller(both.short, secret).registers()


def question(agent: str, tool: str = "refund", **more: Any) -> dict[str, Any]:
    """Return a body that asks for a decision."""
    return {"agentId": agent, "phase": "tool.before", "tool": {"name": tool}, "args": {"order": "A-17"}, **more}


BROKEN: list[Any] = [
    b"",
    b"{",
    b"[]",
    b"\xff",
    b'{"a":' * 200,
    b"[" * 200 + b"]" * 200,
    {},
    {"agentId": "agent"},
    {"agentId": "agent", "phase": "never", "tool": {"name": "refund"}},
    {"agentId": "agent", "phase": "tool.before", "tool": {"name": 5}},
    {"agentId": "agent", "events": [5]},
    {"agentId": "agent", "events": [{**EVENT, "ts": "today"}]},
    {"agentId": "agent", "events": [EVENT]},
    {"agentId": "agent", "phase": "tool.before", "tool": {"name": "refund"}},
]


class TestTheSame:
    """Both ways give the same status, the same headers and the same body."""

    @pytest.mark.parametrize("tool", ["refund", "wire", "é\n\\"])
    @pytest.mark.parametrize("explain", [True, False])
    def test_decisions(self, both: Both, secret: str, agent: str, tool: str, explain: bool) -> None:
        """A decision is the same decision, and does not meet the framework."""
        before = both.through_framework
        short, long = both.answers(EVALUATE, question(agent, tool, explain=explain), authorization=f"Bearer {secret}")
        assert ("200 OK", long) == (short[0], short)
        assert ("X-Content-Type-Options", "nosniff") in [(name.title(), value) for name, value in short[1]]
        assert before == both.through_framework

    def test_events(self, both: Both, secret: str, agent: str) -> None:
        """A batch of events is answered alike, the first time and again."""
        before = both.through_framework
        batch = {"agentId": agent, "events": [EVENT] * 3}
        short, long = both.answers(EVENTS, batch, authorization=f"Bearer {secret}", x_handlebar_batch_id="one")
        assert ("200 OK", b"{}", long) == (short[0], short[2], short)
        assert before == both.through_framework

    @pytest.mark.parametrize("path", [EVALUATE, EVENTS])
    @pytest.mark.parametrize("body", BROKEN)
    def test_what_is_wrong(self, both: Both, secret: str, path: str, body: Any) -> None:
        """What is no question, and no batch, is refused alike; so is an agent that is not there."""
        short, long = both.answers(path, body, authorization=f"Bearer {secret}", x_handlebar_batch_id="two")
        assert ("4", long) == (short[0][0], short)

    @pytest.mark.parametrize("path", [EVALUATE, EVENTS])
    @pytest.mark.parametrize("length", ["", "x" * 201])
    def test_batch_ids(self, both: Both, secret: str, agent: str, path: str, length: str) -> None:
        """A batch that has no id, or one that is too long, is refused alike."""
        batch = question(agent, events=[EVENT])
        short, long = both.answers(path, batch, authorization=f"Bearer {secret}", x_handlebar_batch_id=length)
        assert ("400" if path == EVENTS else "200", long) == (short[0][:3], short)

    @pytest.mark.parametrize("path", [EVALUATE, EVENTS])
    @pytest.mark.parametrize("content", ["text/plain", "", "application/json; charset=utf-8", "application/x+json"])
    def test_kinds_of_content(self, both: Both, secret: str, agent: str, path: str, content: str) -> None:
        """What is not said to be JSON is refused alike, and taken alike where it is."""
        sent = {"content_type": content, "x_handlebar_batch_id": "three"}
        short, long = both.answers(path, question(agent, events=[EVENT]), authorization=f"Bearer {secret}", **sent)
        assert (200 if "json" in content else 415, long) == (int(short[0][:3]), short)

    @pytest.mark.parametrize(("path", "most"), [(EVALUATE, SMALL), (EVENTS, LARGE)])
    @pytest.mark.parametrize("coding", ["identity", "chunked"])
    def test_sizes(self, both: Both, secret: str, path: str, most: int, coding: str) -> None:
        """A body that is too large is refused alike, whether its length is told or not."""
        sent = {"transfer_encoding": coding, "x_handlebar_batch_id": "four"}
        short, long = both.answers(path, b" " * (most + 1), authorization=f"Bearer {secret}", **sent)
        assert ("413" if coding == "identity" else "400", long) == (short[0][:3], short)

    @pytest.mark.parametrize("path", [EVALUATE, EVENTS])
    @pytest.mark.parametrize("key", ["", "Bearer", "Bearer no", "Basic Zm9v", "Bearer \xe9"])
    def test_strangers(self, both: Both, path: str, key: str) -> None:
        """Who has no good key is told so alike, and how to have one."""
        short, long = both.answers(path, {}, authorization=key)
        assert ("401", long) == (short[0][:3], short)
        assert "www-authenticate" in [name.lower() for name, _ in short[1]]

    @pytest.mark.parametrize("path", [EVALUATE, EVENTS])
    @pytest.mark.parametrize(("role", "status"), [("reader", "403"), ("viewer", "404"), ("admin", "404")])
    def test_other_tenants(self, both: Both, agent: str, path: str, role: Any, status: str) -> None:
        """Another tenant's agent is as good as none; a key for hand-offs is good for nothing here."""
        other = a_key(both.file, role, tenant="other").secret
        body = question(agent, events=[EVENT])
        short, long = both.answers(path, body, x_api_key=other, x_handlebar_batch_id="five")
        assert (status, long) == (short[0][:3], short)

    @pytest.mark.parametrize("run", ["a/b", "evaluate", "ä", "%2F", " ", "..", "a%0Ab", "", "events"])
    def test_names(self, both: Both, secret: str, agent: str, run: str) -> None:
        """A run may have any name."""
        path = f"/v1/runs/{run}/evaluate"
        short, long = both.answers(path, question(agent), authorization=f"Bearer {secret}")
        assert ("200" if run else "404", long) == (short[0][:3], short)


def test_failures_are_the_same(tmp_path: Path) -> None:
    """A database that cannot be used is told alike: try again."""
    file = tmp_path / "plane.db"
    short, long = (create_app(url_of(file)) for _ in range(2))
    long.before_request(lambda: None)
    with closing(short.extensions["handlebar"]), closing(long.extensions["handlebar"]):
        secret = a_key(file, "agent").secret
        body = question(Caller(short, secret).registers(), events=[EVENT])
        for each in tmp_path.glob("plane.db*"):
            each.unlink()
        file.mkdir()
        for path in (EVALUATE, EVENTS):
            told = Both(short, long, file).answers(
                path, body, authorization=f"Bearer {secret}", x_handlebar_batch_id="1"
            )
            assert ("503", told[1]) == (told[0][0][:3], told[0])


def test_a_hook_that_was_added_sees_every_request(tmp_path: Path) -> None:
    """Who lets nobody pass, lets nobody pass here either."""
    app = create_app(url_of(tmp_path / "plane.db"))
    with closing(app.extensions["handlebar"]):
        secret = a_key(tmp_path / "plane.db", "agent").secret
        agent = Caller(app, secret).registers()
        assert 200 == Caller(app, secret).call("POST", EVALUATE, question(agent)).status_code
    other = create_app(url_of(tmp_path / "plane.db"))
    other.before_request(lambda: abort(403))
    with closing(other.extensions["handlebar"]):
        assert 403 == Caller(other, secret).call("POST", EVALUATE, question(agent)).status_code


def test_requests_are_counted(both: Both, secret: str, agent: str) -> None:
    """The metrics tell of what went past the framework as of everything else."""
    both.answers(EVALUATE, question(agent), authorization=f"Bearer {secret}")
    told = both.short.test_client().get("/metrics").text
    assert 'handlebar_requests_total{method="POST",route="/v1/runs/<name:run>/evaluate",status="200"}' in told
