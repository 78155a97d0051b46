"""The list of runs, and what one of them shows beside its events."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.server.dashboard.browser import Person
from tests.server.dashboard.test_pages import a_run
from tests.support.control import a_limit, a_policy, a_rule
from tests.support.servers import Caller

BLOCKED = {"kind": "tool.decision", "data": {"verdict": "BLOCK", "finalRuleId": "p/r", "tool": {"name": "pay"}}}
TAGGED = {"kind": "tool.decision", "data": {"verdict": "ALLOW", "tool": {"name": "look", "categories": ["safe"]}}}


@pytest.fixture(name="runs")
def _runs(admin: Caller) -> None:
    a_run(admin, BLOCKED, run="run-blocked", slug="desk")
    agent = a_run(admin, TAGGED, run="run-tagged", slug="shop")
    admin.does("POST", "/v1/runs/run-ended/start", {"agentId": agent, "actor": {"externalId": "ann"}, "sessionId": "s"})
    admin.does("POST", "/v1/runs/run-ended/end", {"agentId": agent, "status": "success"})


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("agent=desk", ["blocked"]),
        ("agent=shop&status=active", ["tagged"]),
        ("actor=ann", ["ended"]),
        ("session=s", ["ended"]),
        ("verdict=BLOCK", ["blocked"]),
        ("rule=p/r", ["blocked"]),
        ("tag=safe", ["tagged"]),
        ("tag=safe&verdict=BLOCK", []),
        ("since=2100-01-01T00:00", []),
        ("until=2100-01-01T00:00&verdict=ALLOW", ["tagged"]),
        ("agent=desk&verdict=&actor=", ["blocked"]),
    ],
)
def test_filters(guest: Person, query: str, found: list[str]) -> None:
    """Each leaves the others out, and stays in the form."""
    page = guest.sees(f"/runs?{query}")
    assert found == re.findall(r'<th scope="row"><a[^>]*>run-(\w+)', page)
    name, _, value = query.partition("&")[0].partition("=")
    assert (f'<option value="{value}" selected' in page) or f'name="{name}" value="{value}"' in page


@pytest.mark.parametrize("query", ["since=noon", "cursor=nonsense"])
def test_what_is_no_filter(guest: Person, query: str) -> None:
    """Is said to be none."""
    assert 400 == guest.looks(f"/runs?{query}").status_code


def test_paging(admin: Caller, guest: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each page links to the next one, with the same filters, until every run was seen."""
    monkeypatch.setattr("handlebar.server.dashboard.runs._AT_ONCE", 2)
    agent = admin.registers()
    for number in range(5):
        admin.does("POST", f"/v1/runs/run-{number}/start", {"agentId": agent})
    seen, path = [], "/runs?agent=desk"
    while path:
        page = guest.sees(path)
        seen += re.findall(r">run-(\d)</a>", page)
        found = re.search(r'href="/dashboard([^"]+)">Older runs', page)
        path = found[1] if found else ""
        assert not path or "agent=desk" in path
    assert ["4", "3", "2", "1", "0"] == seen


def test_many_events(admin: Caller, guest: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """Come in pages, too."""
    monkeypatch.setattr("handlebar.server.dashboard.run._AT_ONCE", 2)
    a_run(admin, *({"kind": "error", "data": {"message": f"number {each}"}} for each in range(3)))
    first = guest.sees("/runs/run-1")
    assert ("number 1" in first, "number 2" in first) == (True, False)
    (rest,) = re.findall(r'href="/dashboard([^"]+)">Later events', first)
    assert "number 2" in guest.sees(rest)


def test_hand_offs_of_a_run(admin: Caller, guest: Person) -> None:
    """Link to the packets, and from there to the runs before and after."""
    a_run(admin, TAGGED)
    agents = {"source_agent": {"id": "a", "name": "Triage"}, "target_agent": {"id": "b", "name": "Billing"}}
    custom = {"handlebar": {"run_id": "run-1"}}
    packet = {"metadata": agents, "context": {"summary": "Refund <b>me</b>", "custom": custom}}
    made = admin.call("POST", "/api/v1/packets", packet).get_json()
    page = guest.sees("/runs/run-1")
    assert (True, True) == (f"/dashboard/handoffs/{made['id']}" in page, "Refund <b>me</b>" in page)
    assert "/dashboard/runs/run-1" in guest.sees(f"/handoffs/{made['id']}")
    link = {"handlebar": {"run_id": "run-2"}}
    later = {"target_agent": agents["target_agent"], "context": {"summary": "Go on", "custom": link}}
    chained = admin.call("POST", f"/api/v1/packets/{made['id']}/chain", {**packet, **later})
    assert 201 == chained.status_code, chained.text
    assert f"/dashboard/handoffs/{chained.get_json()['id']}" in guest.sees(f"/handoffs/{made['id']}")
    assert "/dashboard/runs/run-2" in guest.sees("/runs/run-1")
    admin.does("POST", "/v1/runs/run-2/start", {"agentId": admin.registers()})
    assert "it follows a packet of the run" in guest.sees("/runs/run-2")


def decided(verdict: str, rule: str | None, **data: Any) -> dict[str, Any]:
    """Return the event of a decision under the first version of the policy."""
    versions = [{"policyId": "the-policy", "version": 1}, {"policyId": 7}, None]
    told = {"verdict": verdict, "tool": {"name": "refund"}, "finalRuleId": rule, "policyVersions": versions, **data}
    return {"kind": "tool.decision", "data": told}


def test_why_a_rule_decided_so(admin: Caller, boss: Person) -> None:
    """Its condition is asked again, part by part, with what the run's record holds; also once it was changed."""
    small = {"kind": "toolArg", "type": "number", "path": "amount", "op": "gt", "value": 500}
    parts = {"kind": "and", "all": [{"kind": "toolName", "op": "eq", "value": "refund"}, small]}
    policy = a_policy(a_rule(parts, id="big"), a_rule(a_limit(1), id="often"))
    assert 303 == boss.sends("/policies", content=json.dumps(policy)).status_code
    policy_id = admin.does("GET", "/v1/policies")["policies"][0]["id"]
    rules = [rule["id"] for rule in admin.does("GET", f"/v1/policies/{policy_id}")["policy"]["rules"]]
    changed = json.dumps(a_policy(a_rule({"kind": "toolName", "op": "eq", "value": "other"}, id="big")))
    assert 303 == boss.sends("/policies", content=changed, version="1").status_code
    a_run(
        admin,
        decided("BLOCK", rules[0], args={"amount": 700}),
        decided("ALLOW", None, args={"amount": 1}),
        decided("BLOCK", rules[1], args={"amount": 2}),
        decided("BLOCK", "gone", args={}),
    )
    page = boss.sees("/runs/run-1")
    assert 2 == page.count("Why the rule decided so")
    assert ("all hold" in page, "700 is a number" in page, "1 such calls count so far" in page) == (True, True, True)
