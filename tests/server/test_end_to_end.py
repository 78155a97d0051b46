"""Our own SDK against a server in another process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone

import pytest

from handlebar.control.database import Database
from handlebar.control.keys import KeyRing
from handlebar.core.client import HandlebarClient
from handlebar.core.schema.agents import Actor
from handlebar.core.schema.governance import HitlPendingCause, LockdownCause
from tests.support.control import a_limit, a_policy, a_rule, at_once, url_of
from tests.support.servers import Caller, Served, a_key, a_place, servers

POLICIES = (
    a_policy(a_rule({"kind": "toolName", "op": "eq", "value": "drop"}, name="no drop"), name="names"),
    a_policy(a_rule(a_limit(5), name="five refunds"), name="limits"),
    a_policy(a_rule({"kind": "toolName", "op": "eq", "value": "wire"}, "hitl", name="ask", tool="wire"), name="ask"),
    a_policy(
        a_rule({"kind": "enduserTag", "op": "hasValue", "tag": "tier", "value": "free"}, tool="export", name="tier"),
        name="tiers",
    ),
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with policies."""
    with servers(1, tmp_path_factory.mktemp("server") / "plane.db", *POLICIES) as (one,):
        yield one


@pytest.fixture
def client(served: Served) -> Iterator[HandlebarClient]:
    """A client of ours, over HTTP."""
    with served.client() as made:
        yield made


@pytest.fixture
def admin(served: Served) -> Iterator[Caller]:
    """Somebody who answers and locks down, by way of another process on the same database."""
    with a_place(served.file) as place:
        yield place.caller()


def test_rules_decide_over_http(client: HandlebarClient) -> None:
    """What a rule forbids is blocked and names the rule; everything else is allowed."""
    with client.run() as run:
        forbidden = run.before_tool_sync("drop", {"table": "users"})
        assert run.before_tool_sync("read", {"table": "users"}).allowed
    assert not forbidden.allowed
    assert "RULE_VIOLATION" == forbidden.cause.kind
    assert forbidden.final_rule_id in {each.rule_id for each in forbidden.evaluated_rules}


def test_a_limit_holds_exactly(client: HandlebarClient) -> None:
    """Four threads race for five places, and exactly five calls are allowed."""
    with client.run() as run:

        def race() -> int:
            return sum(run.before_tool_sync("refund", {}).allowed for _ in range(4))

        assert 5 == sum(at_once([race] * 4))


def test_events_arrive(client: HandlebarClient, admin: Caller) -> None:
    """All events of a run can be read when it has ended, in order."""
    with client.run() as run:
        run.before_tool_sync("read", {"table": "übersicht \ud83d"})
        run.after_tool_sync("read", {}, ["row"])
    events = admin.does("GET", f"/v1/runs/{run.run_id}/events")["events"]
    assert ["run.started", "tool.decision", "tool.result", "run.ended"] == [each["kind"] for each in events]
    assert {run.run_id} == {each["runId"] for each in events}
    shown = {each["runId"]: each["status"] for each in admin.does("GET", "/v1/runs")["runs"]}
    assert "success" == shown[run.run_id]


def test_a_person_is_waited_for(client: HandlebarClient, admin: Caller) -> None:
    """A call that needs a person goes on when one has answered, and the answer is used up by it."""
    with client.run() as run:
        pending = run.before_tool_sync("wire", {"amount": 5})
        assert isinstance(pending.cause, HitlPendingCause)
        path = f"/v1/approvals/{pending.cause.approval_id}"
        answer = {"status": "approved", "respondedBy": "ann", "note": "fine"}
        later = threading.Timer(0.2, lambda: admin.does("POST", f"{path}/respond", answer))
        later.start()
        assert run.await_approval(pending, timeout=30).allowed
        later.join()
    asked = admin.does("GET", path)
    assert ("used", {"amount": 5}, "ann") == (asked["status"], asked["args"], asked["answers"][0]["respondedBy"])


def test_a_lockdown_is_in_force_at_once(served: Served, admin: Caller) -> None:
    """A lockdown stops a run at its next decision and the next run at its start, until it is lifted."""
    with served.client("locked") as client, client.run() as run:
        assert run.before_tool_sync("read", {}).allowed
        until = (datetime.now(timezone.utc) + timedelta(hours=1)).isoformat()
        admin.does("PUT", "/v1/agents/locked/lockdown", {"reason": "leak", "until": until})
        assert isinstance(run.before_tool_sync("read", {}).cause, LockdownCause)
        with client.run() as second:
            assert not second.before_tool_sync("read", {}).allowed
        assert {"lifted": 1} == admin.does("DELETE", "/v1/agents/locked/lockdown")
        with client.run() as third:
            assert third.before_tool_sync("read", {}).allowed


def test_rules_see_the_actor_that_the_run_started_with(client: HandlebarClient) -> None:
    """What is known of an actor travels once, at the start, and rules look at it at every call."""
    for tier, allowed in (("free", False), ("paid", True)):
        with client.run(actor=Actor(f"user-{tier}", metadata={"tier": tier})) as run:
            assert allowed is run.before_tool_sync("export", {}).allowed


def test_any_run_id_reaches_the_server(client: HandlebarClient, admin: Caller) -> None:
    """Run ids with slashes, dots, spaces and line ends are the same at the other end."""
    strange = ["a/b", "/a", "a//b/", ".", "..", "x/start", "x/evaluate", "events", "ü ?#%2F", "a\nb"]
    for run_id in strange:
        with client.run(run_id=run_id) as run:
            assert run.before_tool_sync("read", {}).allowed
    assert set(strange) <= {each["runId"] for each in admin.does("GET", "/v1/runs")["runs"]}


def test_tenants_have_agents_of_their_own(served: Served) -> None:
    """The policies that the server was started with are the default tenant's, and nobody else's."""
    with served.client(tenant="other") as client, client.run() as run:
        assert run.before_tool_sync("drop", {}).allowed


def test_a_revoked_key_is_refused_within_a_second(served: Served) -> None:
    """The server forgets a good key soon enough."""
    key = a_key(served.file)
    with a_place(served.file) as place, closing(Database(url_of(served.file))) as database:
        caller = Caller(place.app, key.secret)
        caller.does("GET", "/v1/runs")
        KeyRing(database).revoke(key.record.id)
        threading.Event().wait(1.0)
        assert 401 == caller.call("GET", "/v1/runs").status_code
