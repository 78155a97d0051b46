"""What the dashboard's pages show, and what their forms do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.server.dashboard.browser import Person
from tests.server.test_endpoints import event, question
from tests.support.control import a_policy, a_rule
from tests.support.servers import Caller, Place

HOSTILE = "<script>alert(1)</script>\x1b[31m\u202eevil\x00' onload='x \"><img src=x>" + "a" * 50_000
SHOWN = "<script>alert(1)</script>\\u001b[31m\\u202eevil\\u0000' onload='x \"><img src=x>aaa"


ACTING = ("<script>alert", "\x1b", "\u202e", "\x00", "<img")


def batch(number: int) -> dict[str, str]:
    """Return the header that names a batch."""
    return {"x-handlebar-batch-id": f"0197c1d2-0000-7000-8000-{number:012d}"}


def a_run(admin: Caller, *events: dict[str, Any], run: str = "run-1", slug: str = "desk") -> str:
    """Record a run with *events*; return the agent's id."""
    agent = admin.registers(slug)
    admin.does("POST", f"/v1/runs/{run}/start", {"agentId": agent})
    known = {"schema": "handlebar.audit.v1", "ts": "2026-07-01T12:00:00.123Z", "runId": run}
    told = [{**known, **each} for each in events]
    admin.does("POST", "/v1/runs/events", {"agentId": agent, "events": told}, headers=batch(hash(run) % 10**9))
    return agent


def waiting(place: Place, admin: Caller, boss: Person) -> str:
    """Let a call wait for a person; return the approval's id."""
    content = json.dumps(a_policy(a_rule({"kind": "toolName", "op": "eq", "value": "refund"}, "hitl")))
    assert 303 == boss.sends("/policies", content=content).status_code
    agent = admin.registers()
    admin.does("POST", "/v1/runs/run-1/evaluate", {**question(agent), "args": {"amount": 7}})
    return str(admin.does("GET", "/v1/approvals?status=pending")["approvals"][0]["id"])


@pytest.mark.parametrize("path", ["/", "/?days=7", "/?days=30", "/?days=x", "/runs", "/inbox", "/agents", "/handoffs"])
def test_pages_of_an_empty_place(guest: Person, path: str) -> None:
    """Say that there is nothing."""
    assert any(words in guest.sees(path) for words in ("No", "Nothing", "Nobody"))


def test_the_overview_counts(admin: Caller, boss: Person) -> None:
    """Runs, decisions, tokens, cost, lost events; by agent and by actor."""
    asked = {"verdict": "BLOCK", "cause": {"kind": "HITL_PENDING", "approvalId": "a"}}
    a_run(
        admin,
        {"kind": "run.started", "actorExternalId": "user-7", "data": {}},
        {"kind": "tool.decision", "data": {"verdict": "ALLOW"}},
        {"kind": "tool.decision", "data": {"verdict": "BLOCK"}},
        {"kind": "tool.decision", "data": asked},
        {"kind": "llm.result", "data": {"tokens": {"in": 1000, "out": 234}, "model": {"name": "gpt-4o"}}},
        {"kind": "error", "data": {"scope": "transport", "message": "m", "details": {"overflow": "90", "x": "?"}}},
    )
    page = boss.sees("/")
    figures = [part.split("</dd>")[0].rpartition(">")[2] for part in page.split("<dt>")[1:]]
    assert ["1", "1", "1", "1", "1\u202f234"] == figures[:5]
    assert ("lost 90 audit events" in page, "user-7" in page, "desk" in page) == (True, True, True)


@pytest.mark.parametrize("name", ["decisions", "tokens", "cost"])
@pytest.mark.parametrize("query", ["", "?days=30&dark=1"])
def test_charts(admin: Caller, boss: Person, name: str, query: str) -> None:
    """Are SVG, and load nothing."""
    a_run(admin, {"kind": "tool.decision", "data": {"verdict": "ALLOW"}})
    answer = boss.looks(f"/charts/{name}.svg{query}")
    assert "image/svg+xml" == answer.mimetype
    assert b"<script" not in answer.data


@pytest.mark.parametrize("odd", [{}, {"tokens": 7, "cause": [], "model": {"name": 7}, "details": [1]}])
def test_odd_events_are_counted_as_far_as_they_go(admin: Caller, boss: Person, odd: Any) -> None:
    """What an agent writes breaks neither the counting nor a page."""
    kinds = ("run.started", "tool.decision", "llm.result", "error", "tool.result", "message.raw.created", "x")
    a_run(admin, *({"kind": kind, "actorExternalId": [odd], "data": odd} for kind in kinds))
    assert "run-1" in boss.sees("/runs/run-1")
    assert "Runs" in boss.sees("/")


def test_hostile_text_is_text(admin: Caller, boss: Person) -> None:
    """In every field: nothing is markup, nothing turns the direction of what follows, nothing is endless."""
    data = {"content": HOSTILE, "role": HOSTILE, "tool": {"name": HOSTILE}, "message": HOSTILE, "verdict": HOSTILE}
    kinds = ("message.raw.created", "tool.decision", "tool.result", "error", HOSTILE[:100])
    a_run(admin, *({"kind": kind, "data": data} for kind in kinds), slug="desk <b>")
    admin.does("PUT", "/v1/agents/desk <b>/lockdown", {"reason": HOSTILE[:400], "tool": HOSTILE[:90]})
    for path in ("/runs/run-1", "/agents", "/", "/runs"):
        raw = boss.looks(path).text
        assert [] == [part for part in ACTING if part in raw.replace('<img class="chart"', "")]
        assert len(raw) < 600_000
    assert SHOWN in boss.sees("/runs/run-1")


def test_a_run_as_a_timeline(admin: Caller, boss: Person) -> None:
    """With what was said and decided, how long it took, and the state of its chain."""
    decision = {
        "tool": {"name": "refund"},
        "verdict": "BLOCK",
        "message": "Too much",
        "finalRuleId": "p/r",
        "args": {"a": 1},
    }
    a_run(
        admin,
        {"kind": "message.raw.created", "data": {"role": "user", "content": "Pay me"}},
        {"kind": "tool.decision", "data": decision},
        {"kind": "tool.result", "data": {"tool": {"name": "refund"}, "outcome": "success", "durationMs": 12.5}},
    )
    page = boss.sees("/runs/run-1")
    for words in ("Pay me", "May refund run?", "Too much", "rule p/r", "refund: success", "12.5 ms", "chain is intact"):
        assert words in page
    assert 3 == boss.looks("/runs/run-1/export").text.count("\n")
    assert 404 == boss.looks("/runs/none").status_code


@pytest.mark.sqlite
def test_a_chain_that_is_broken(place: Place, admin: Caller, boss: Person) -> None:
    """Is said to be."""
    import sqlite3
    from contextlib import closing

    a_run(admin, event("run-1"), event("run-1"))
    with closing(sqlite3.connect(place.file)) as connection, connection:
        connection.execute("UPDATE events SET body = '{}' WHERE seq = 1")
    assert "chain is broken at event 0" in boss.sees("/runs/run-1")


def test_answering(place: Place, admin: Caller, boss: Person) -> None:
    """What waits is shown with its arguments and rule; the answer counts, once; the second is told who was first."""
    approval = waiting(place, admin, boss)
    page = boss.sees("/inbox")
    assert ("refund" in page, '"amount": 7' in page, "the-rule" in page) == (True, True, True)
    assert 303 == boss.sends(f"/inbox/{approval}", response="approved", who="Ann", note="fine").status_code
    second = boss.sends(f"/inbox/{approval}", response="denied", who="Bob")
    assert (409, True) == (second.status_code, "Ann (approved)" in second.text)
    assert "Nobody waits" in boss.sees("/inbox")
    assert "approved" == admin.does("GET", f"/v1/approvals/{approval}")["status"]


def test_an_answer_that_is_none(place: Place, admin: Caller, boss: Person) -> None:
    """Changes nothing."""
    approval = waiting(place, admin, boss)
    assert 400 == boss.sends(f"/inbox/{approval}", response="maybe").status_code
    assert 404 == boss.sends("/inbox/none", response="approved").status_code
    assert "pending" == admin.does("GET", f"/v1/approvals/{approval}")["status"]


def test_locking_down_and_lifting(admin: Caller, boss: Person) -> None:
    """Counts from the next decision on."""
    agent = admin.registers()
    assert 400 == boss.sends("/agents/desk/lockdown", reason=" ").status_code
    assert 303 == boss.sends("/agents/desk/lockdown", reason="fraud", tool="refund", hours="8").status_code
    assert "fraud" in boss.sees("/agents")
    decided = admin.does("POST", "/v1/runs/run-1/evaluate", question(agent))
    assert "LOCKDOWN" == decided["cause"]["kind"]
    lockdown = boss.sees("/agents").split('name="lockdown" value="')[1].split('"')[0]
    assert 303 == boss.sends("/agents/desk/lift", lockdown=lockdown).status_code
    assert "ALLOW" == admin.does("POST", "/v1/runs/run-2/evaluate", question(agent))["verdict"]
    assert 404 == boss.sends("/agents/none/lockdown", reason="x").status_code


GOOD = json.dumps(a_policy(a_rule({"kind": "toolName", "op": "eq", "value": "refund"})))


def test_editing_a_policy(admin: Caller, boss: Person) -> None:
    """It is checked by the loader, counts from the next decision on, and keeps its versions."""
    agent = admin.registers()
    assert {"problems": []} == boss.sends("/policies/check", content=GOOD).json
    assert 303 == boss.sends("/policies", content=GOOD).status_code
    assert "BLOCK" == admin.does("POST", "/v1/runs/run-1/evaluate", question(agent))["verdict"]
    newer = GOOD.replace("refund", "pay")
    policy = admin.does("GET", "/v1/policies")["policies"][0]["id"]
    assert "refund" in boss.sees(f"/edit-policy?policy={policy}")
    assert 303 == boss.sends("/policies", content=newer, version="1").status_code
    page = boss.sees(f"/policies/{policy}")
    assert ("Version 2" in page, "-    value: refund" in page, "+    value: pay" in page) == (True, True, True)
    assert 412 == boss.sends("/policies", content=GOOD, version="1").status_code
    assert 409 == boss.sends("/policies", content=GOOD).status_code
    assert 303 == boss.sends(f"/policies/{policy}/delete").status_code
    assert "No policy is in force" in boss.sees("/policies")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (GOOD.replace("toolName", "toolNam"), "toolNam"),
        ("", "empty"),
        ("a: [", "YAML"),
        ("x" * 2_000_000, "too large"),
        ("[" * 5000, ""),
    ],
)
def test_a_policy_that_is_none(boss: Person, wrong: str, words: str) -> None:
    """Is refused with the loader's own words, and what was typed is still there."""
    problems = boss.sends("/policies/check", content=wrong).get_json()["problems"]
    assert any(words in problem for problem in problems)
    answer = boss.sends("/policies", content=wrong)
    assert 400 == answer.status_code
    assert "No policy is in force" in boss.sees("/policies")


def test_keys(boss: Person, place: Place) -> None:
    """A new one is shown once, works, and is revoked."""
    answer = boss.sends("/keys", name="for Bob", role="viewer")
    secret = answer.text.split('<code id="secret">')[1].split("<")[0]
    bob = Person(place.app.test_client())
    assert 303 == bob.logs_in(secret).status_code
    assert secret not in boss.sees("/keys")
    assert 400 == boss.sends("/keys", name="", role="viewer").status_code
    assert 400 == boss.sends("/keys", name="x", role="boss").status_code


def test_hand_offs(admin: Caller, boss: Person) -> None:
    """A list by status, and one packet with its history."""
    agents = {"source_agent": {"id": "a", "name": "Triage"}, "target_agent": {"id": "b", "name": "Billing"}}
    packet = {"metadata": agents, "context": {"summary": "Refund <b>me</b>"}}
    made = admin.call("POST", "/api/v1/packets", packet).get_json()
    assert "Refund <b>me</b>" in boss.sees("/handoffs?status=created")
    assert "No packet" in boss.sees("/handoffs?status=completed")
    assert "Billing" in boss.sees(f"/handoffs/{made['id']}")
    assert 404 == boss.looks("/handoffs/0197c1d2-0000-4000-8000-000000000001").status_code
    assert "<b>me" not in boss.looks("/handoffs").text
