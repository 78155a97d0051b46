"""Who may do what: roles, keys and tenants."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from handlebar.server.app import ROUTES
from tests.support.control import a_policy, a_rule
from tests.support.servers import Caller, Place, a_place, is_problem

ASK = a_policy(a_rule({"kind": "toolName", "op": "eq", "value": "wire"}, "hitl"))
PATHS = [(route.method, re.sub(r"<(name:)?|>", "", route.rule)) for route in ROUTES]
FOR_AGENTS = {
    ("POST", "/v1/agents"),
    ("POST", "/v1/agents/check"),
    ("PUT", "/v1/agents/agent/tools"),
    ("GET", "/v1/agents/agent/metrics/budget"),
    ("GET", "/v1/agents/agent/policies"),
    ("GET", "/v1/agents/agent/status"),
    ("POST", "/v1/runs/run/start"),
    ("POST", "/v1/runs/run/evaluate"),
    ("POST", "/v1/runs/run/end"),
    ("POST", "/v1/runs/events"),
    ("GET", "/v1/approvals/approval"),
}
FOR_VIEWERS = FOR_AGENTS | {call for call in PATHS if call[0] == "GET"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """An app that many small cases ask."""
    with a_place(tmp_path_factory.mktemp("access") / "plane.db", ASK) as made:
        yield made


@pytest.fixture(scope="module")
def callers(shared: Place) -> dict[str, Caller]:
    """One of each role."""
    return {role: shared.caller(role) for role in ("agent", "viewer", "admin")}  # type: ignore[arg-type]


@pytest.mark.parametrize(("method", "path"), PATHS)
@pytest.mark.parametrize("role", ["agent", "viewer", "admin"])
def test_a_role_may_do_what_it_is_for(callers: dict[str, Caller], role: str, method: str, path: str) -> None:
    """Agents do what an SDK needs, viewers read everything too, admins do everything."""
    may = {"agent": FOR_AGENTS, "viewer": FOR_VIEWERS, "admin": set(PATHS)}[role]
    answer = callers[role].call(method, path, {})
    assert (403 != answer.status_code) is ((method, path) in may), answer.text
    assert 401 != answer.status_code


@pytest.mark.parametrize(("method", "path"), PATHS)
@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer hb_wrong"}, {"authorization": "Basic aGI6aGI="}])
def test_without_a_good_key_nothing_is_told(shared: Place, headers: dict[str, str], method: str, path: str) -> None:
    """A missing, unknown or foreign kind of key is answered alike, before anything is read."""
    answer = shared.app.test_client().open(path, method=method, headers=headers, data=b"no JSON")
    assert 401 == answer.status_code
    assert is_problem(answer)
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_key_may_come_in_a_header_of_its_own(shared: Place, callers: dict[str, Caller]) -> None:
    """X-API-Key does what a bearer token does."""
    answer = shared.app.test_client().get("/v1/runs", headers={"x-api-key": callers["viewer"].secret})
    assert 200 == answer.status_code


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/openapi.json"])
def test_what_machines_look_after_needs_no_key(shared: Place, path: str) -> None:
    """Whoever runs the server can look whether it is well."""
    assert 200 == shared.app.test_client().get(path).status_code


def test_another_tenants_ids_are_unknown_ids(shared: Place) -> None:
    """Whatever is asked of another tenant's agent, approval or run is answered as if there were none."""
    owner, stranger = shared.caller(), shared.caller(tenant="stranger")
    agent = owner.registers()
    question = {"phase": "tool.before", "agentId": agent, "tool": {"name": "wire"}, "args": {}}
    approval = owner.does("POST", "/v1/runs/its run/evaluate", question)["cause"]["approvalId"]
    event = {
        "schema": "handlebar.audit.v1",
        "kind": "error",
        "runId": "its run",
        "ts": "2026-07-01T12:00:00Z",
        "data": {},
    }
    batch = {"agentId": agent, "events": [event]}
    owner.does("POST", "/v1/runs/events", batch, headers={"x-handlebar-batch-id": "1"})
    answer = {"status": "approved", "respondedBy": "eve"}

    def tries(agent: str, approval: str, run: str) -> list[tuple[int, str]]:
        calls: list[tuple[str, str, Any]] = [
            ("PUT", f"/v1/agents/{agent}/tools", {"tools": []}),
            ("GET", f"/v1/agents/{agent}/status", None),
            ("PUT", f"/v1/agents/{agent}/lockdown", {"reason": "mine"}),
            ("DELETE", f"/v1/agents/{agent}/lockdown", None),
            ("POST", f"/v1/runs/{run}/start", {"agentId": agent}),
            ("POST", f"/v1/runs/{run}/evaluate", {**question, "agentId": agent}),
            ("POST", f"/v1/runs/{run}/end", {"agentId": agent, "status": "success"}),
            ("POST", "/v1/runs/events", {**batch, "agentId": agent}),
            ("GET", f"/v1/runs/{run}/events", None),
            ("GET", f"/v1/approvals/{approval}", None),
            ("POST", f"/v1/approvals/{approval}/respond", answer),
        ]
        answers = [stranger.call(*each, headers={"x-handlebar-batch-id": "2"}) for each in calls]
        names = [(agent, "X"), (approval, "X"), (run, "X")]
        told = []
        for each in answers:
            text = each.text
            for name, shown in names:
                text = text.replace(name, shown)
            told.append((each.status_code, text))
        return told

    foreign = tries(agent, approval, "its run")
    assert {404} == {status for status, _ in foreign}
    assert foreign == tries("no-such-agent", "no-such-approval", "no-such-one")
    # By its slug as well: the stranger has no agent of that name.
    assert 404 == stranger.call("PUT", "/v1/agents/desk/lockdown", {"reason": "mine"}).status_code
    assert [] == stranger.does("GET", "/v1/runs")["runs"]
    assert [] == stranger.does("GET", "/v1/approvals")["approvals"]


def test_the_same_slug_is_another_agent_for_another_tenant(shared: Place) -> None:
    """Two tenants may give their agents the same name."""
    mine, theirs = shared.caller("agent"), shared.caller("agent", tenant="third")
    assert mine.registers() == mine.registers()
    assert mine.registers() != theirs.registers()


def test_no_key_is_logged(shared: Place, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure of ours is a 500 without details; its log has neither key nor content."""
    caller = shared.caller()

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("the content")

    monkeypatch.setattr("handlebar.control.service.EmbeddedControlPlane.register_agent", fails)
    answer = caller.call("POST", "/v1/agents", {"slug": "the content"})
    assert 500 == answer.status_code
    assert is_problem(answer)
    assert "RuntimeError" in caplog.text
    for secret in (caller.secret, "the content", "Traceback"):
        assert secret not in answer.text
    assert caller.secret not in caplog.text
    assert "the content" not in caplog.text.replace('raise RuntimeError("the content")', "")


def test_a_database_that_is_gone_is_told_and_not_explained(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where the database cannot be used the answer is 503 with a word when to try again, and readyz says so too."""
    folder = tmp_path / "gone"
    folder.mkdir()
    with a_place(folder / "plane.db") as place:
        caller = place.caller()
        place.app.extensions["handlebar"].close()
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
        for path in ("/v1/runs", "/readyz"):
            answer = caller.call("GET", path)
            assert (503, "1") == (answer.status_code, answer.headers["retry-after"])
            assert is_problem(answer)
            assert "plane.db" not in answer.text
        assert 200 == caller.call("GET", "/healthz").status_code
