"""Calls that are decided, and never made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.control import a_limit, a_policy, a_rule
from tests.support.servers import Caller, a_place

PATH = "/v1/agents/check"
BAN = a_policy(a_rule({"kind": "toolName", "op": "eq", "value": "drop"}, id="ban"), id="p")
LIMIT = a_policy(a_rule(a_limit(1, per="agent"), id="limit"), id="limits", name="limits")
ASK = a_policy(a_rule({"kind": "toolName", "op": "eq", "value": "pay"}, "hitl", id="ask"), id="asks", name="asks")


def a_call(agent: str, tool: str = "refund", **more: Any) -> dict[str, Any]:
    """Return the body of a check."""
    return {"agentId": agent, "tool": {"name": tool}, "args": {}, **more}


def test_it_says_what_would_be_decided(tmp_path: Path) -> None:
    """By the policies in force, and with their reasons where those are wanted."""
    with a_place(tmp_path / "plane.db", BAN) as place:
        caller = place.caller("agent")
        agent = caller.registers()
        blocked = caller.does("POST", PATH, a_call(agent, "drop", explain=True))
        allowed = caller.does("POST", PATH, a_call(agent))
        counted = caller.call("GET", "/metrics").text
    assert ("BLOCK", "ban", 1) == (blocked["verdict"], blocked["finalRuleId"], len(blocked["trace"]))
    assert "ALLOW" == allowed["verdict"]
    assert "trace" not in allowed
    assert "handlebar_decisions_total{" not in counted


def test_nothing_counts_by_it(tmp_path: Path) -> None:
    """A limit is looked at, and a check takes no place in it; nor is anybody asked."""
    with a_place(tmp_path / "plane.db", LIMIT, ASK) as place:
        admin = place.caller()
        agent = admin.registers()
        asked = admin.does("POST", PATH, a_call(agent, "pay"))
        checked = [admin.does("POST", PATH, a_call(agent))["verdict"] for _ in range(3)]
        question = {"phase": "tool.before", **a_call(agent)}
        assert "ALLOW" == admin.does("POST", "/v1/runs/run/evaluate", question)["verdict"]
        assert "BLOCK" == admin.does("POST", PATH, a_call(agent))["verdict"]
        assert {"approvals": []} == admin.does("GET", "/v1/approvals")
        assert {"runs": []} == admin.does("GET", "/v1/runs")
    assert {"kind": "HITL_PENDING", "approvalId": "", "ruleId": "ask"} == asked["cause"]
    assert ["ALLOW"] * 3 == checked


def test_other_policies_can_be_tried(tmp_path: Path) -> None:
    """Those that the body holds decide instead of those in force, and stay in force nowhere."""
    with a_place(tmp_path / "plane.db", BAN) as place:
        caller = place.caller("agent")
        agent = caller.registers()
        tried = caller.does("POST", PATH, a_call(agent, "drop", policies=[ASK]))
        other = caller.does("POST", PATH, a_call(agent, "pay", policies=[ASK]))
        assert "ALLOW" == caller.does("POST", PATH, a_call(agent, "pay"))["verdict"]
    assert ("ALLOW", "HITL_PENDING") == (tried["verdict"], other["cause"]["kind"])
    assert "policyVersions" not in other


def test_its_actor_is_known_by_what_the_body_says(tmp_path: Path) -> None:
    """Rules that look at the actor see the metadata that the check gives."""
    free = a_policy(a_rule({"kind": "enduserTag", "op": "hasValue", "tag": "tier", "value": "free"}))
    with a_place(tmp_path / "plane.db", free) as place:
        caller = place.caller("agent")
        agent = caller.registers()
        actors = [{"externalId": "u-1", "metadata": {"tier": tier}} for tier in ("free", "paid")]
        said = [caller.does("POST", PATH, a_call(agent, actor=actor))["verdict"] for actor in actors]
    assert ["BLOCK", "ALLOW"] == said


def test_a_lockdown_is_told(admin: Caller) -> None:
    """What is locked down would be refused."""
    agent = admin.registers()
    admin.does("PUT", f"/v1/agents/{agent}/lockdown", {"reason": "fire"})
    assert "LOCKDOWN" == admin.does("POST", PATH, a_call(agent))["cause"]["kind"]


def test_what_is_refused(admin: Caller, tmp_path: Path) -> None:
    """Policies are read from the body only, never from a path that it names; an unknown agent has none."""
    agent = admin.registers()
    (tmp_path / "p.json").write_text("[]")
    named = a_call(agent, policies=[str(tmp_path / "p.json")])
    assert (400, "malformed", "policies.0") == admin.refused("POST", PATH, named)
    assert (422, "invalid_policy", "policies") == admin.refused("POST", PATH, a_call(agent, policies=[{"rules": 1}]))
    assert (404, "not_found", None) == admin.refused("POST", PATH, a_call("nobody"))
    assert (400, "malformed", "tool.name") == admin.refused("POST", PATH, {"agentId": agent})
