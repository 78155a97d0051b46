"""Policies: tried before they are saved, and brought from shadow into force."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.server.dashboard.browser import Person
from tests.server.dashboard.test_pages import HOSTILE, a_run
from tests.server.test_endpoints import question
from tests.support.control import a_policy, a_rule
from tests.support.servers import Caller, a_place

BIG = {"kind": "toolArg", "type": "number", "path": "amount", "op": "gt", "value": 500}
TRIED = json.dumps(a_policy(a_rule(BIG, tool="refund")))
NOW = datetime.now(timezone.utc).isoformat()


def tries(boss: Person, text: str = TRIED, **fields: str) -> Any:
    """Try a policy; return the answer."""
    return boss.sends("/policies/try", content=text, **fields)


def allowed(**args: Any) -> dict[str, Any]:
    """Return the event of a call that was allowed."""
    return {"kind": "tool.decision", "data": {"verdict": "ALLOW", "tool": {"name": "refund"}, "args": args}}


@pytest.mark.parametrize(
    ("args", "effect", "because"), [('{"amount": 900}', "block", "its condition holds"), ("", "allow", "no argument")]
)
def test_one_call(admin: Caller, boss: Person, args: str, effect: str, because: str) -> None:
    """Is decided, with the trace of every rule, and nothing is saved."""
    page = tries(boss, **{"try": "call", "tool": "refund", "args": args, "tags": "a, b", "actor": "ann"}).text
    assert f'That call: <span class="verdict {effect}">' in page
    assert because in page
    assert "900" in page or not args
    assert [] == admin.does("GET", "/v1/policies")["policies"]


def test_the_others_in_force_decide_too(boss: Person) -> None:
    """As they would, were it saved: in the place of what has its id."""
    other = json.dumps(a_policy(a_rule({"kind": "toolName", "op": "eq", "value": "pay"}), name="other"))
    for text in (other, TRIED):
        boss.sends("/policies", content=text)
    changed = TRIED.replace("500", "5000")
    assert "verdict allow" in tries(boss, changed, **{"try": "call", "tool": "refund", "args": '{"amount": 900}'}).text
    assert "verdict block" in tries(boss, changed, **{"try": "call", "tool": "pay"}).text


@pytest.mark.parametrize(
    "wrong",
    [{"tool": "x", "args": "[1]"}, {"tool": "x", "args": "{"}, {"tool": ""}, {"content": "a: ["}],
)
def test_what_cannot_be_tried(boss: Person, wrong: dict[str, str]) -> None:
    """Is said to be wrong, and what was typed is still there."""
    given = {"content": TRIED, "try": "call", **wrong}
    answer = boss.sends("/policies/try", **given)
    assert (400, True) == (answer.status_code, "<textarea" in answer.text)


def test_replaying(admin: Caller, boss: Person) -> None:
    """The calls of late runs are decided again; what would change is shown."""
    a_run(admin, allowed(amount=900), allowed(amount=1), allowed(amount=901), {"kind": "odd", "data": {}})
    page = tries(boss, **{"try": "replay", "hours": "24"}).text
    assert ("3 calls decided again, 2 would change" in page, "&#34;amount&#34;: 901" in page) == (True, True)
    assert [] == admin.does("GET", "/v1/policies")["policies"]


def test_replaying_nothing(boss: Person) -> None:
    """Is said to be that."""
    assert "0 calls decided again" in tries(boss, **{"try": "replay", "hours": "never"}).text


def shadowed(rule: str, **args: Any) -> dict[str, Any]:
    """Return the event of a call that a rule in shadow would have blocked."""
    shadow = [{"ruleId": rule, "effect": "block", "message": "m"}]
    data = {"verdict": "ALLOW", "tool": {"name": "refund"}, "args": args, "shadow": shadow}
    return {"kind": "tool.decision", "data": data}


def test_a_rule_in_shadow_is_promoted(admin: Caller, boss: Person, guest: Person) -> None:
    """With what it would have blocked in sight; the version that was seen is the one that is promoted."""
    shadow = a_rule(BIG, tool="refund", mode="shadow", name="big")
    boss.sends("/policies", content=json.dumps(a_policy(shadow, a_rule(BIG, tool="pay", name="other"))))
    policy_id = admin.does("GET", "/v1/policies")["policies"][0]["id"]
    rule_id = admin.does("GET", f"/v1/policies/{policy_id}")["policy"]["rules"][0]["id"]
    agent = a_run(admin, shadowed(rule_id, amount=777), shadowed("another", amount=888), allowed(amount=999))
    page = boss.sees(f"/policies/{policy_id}")
    assert ("777" in page, "888" in page, "999" in page) == (True, False, False)
    assert "Put this rule in force" in page
    assert "Put this rule in force" not in guest.sees(f"/policies/{policy_id}")
    promote = f"/policies/{policy_id}/promote"
    assert 403 == guest.sends(promote, rule=rule_id, version="1").status_code
    assert 412 == boss.sends(promote, rule=rule_id, version="7").status_code
    assert 400 == boss.sends(promote, rule=rule_id).status_code
    big = {**question(agent), "args": {"amount": 900}}
    assert "ALLOW" == admin.does("POST", "/v1/runs/run-1/evaluate", big)["verdict"]
    assert 303 == boss.sends(promote, rule=rule_id, version="1").status_code
    assert "BLOCK" == admin.does("POST", "/v1/runs/run-1/evaluate", big)["verdict"]
    assert "In shadow" not in boss.sees(f"/policies/{policy_id}")


def test_a_policy_in_shadow_is_promoted(admin: Caller, boss: Person) -> None:
    """As a whole."""
    boss.sends("/policies", content=json.dumps(a_policy(a_rule(BIG, tool="refund"), mode="shadow")))
    policy_id = admin.does("GET", "/v1/policies")["policies"][0]["id"]
    page = boss.sees(f"/policies/{policy_id}")
    assert ("It would have stopped no call" in page, "Put the policy in force" in page) == (True, True)
    assert 303 == boss.sends(f"/policies/{policy_id}/promote", version="1").status_code
    page = boss.sees(f"/policies/{policy_id}")
    assert ("Put the policy in force" in page, "In shadow" in page, "-mode: shadow" in page) == (False, False, True)


def test_hostile_calls(admin: Caller, boss: Person) -> None:
    """Are text, in what is tried and in what a rule in shadow would have blocked."""
    boss.sends("/policies", content=json.dumps(a_policy(a_rule(BIG, tool="refund"), mode="shadow")))
    policy_id = admin.does("GET", "/v1/policies")["policies"][0]["id"]
    rule_id = admin.does("GET", f"/v1/policies/{policy_id}")["policy"]["rules"][0]["id"]
    a_run(admin, {**shadowed(rule_id, amount=900, text=HOSTILE), "ts": NOW})
    for raw in (boss.looks(f"/policies/{policy_id}").text, tries(boss, **{"try": "replay", "hours": "1"}).text):
        assert "900" in raw
        assert [] == [part for part in ("<script>alert", "\x1b", "\u202e", "<img src") if part in raw]


def test_a_rule_in_shadow_that_comes_from_a_file(tmp_path: Path) -> None:
    """Is brought into force there: the page says how, and has no button."""
    shadow = a_rule(BIG, tool="refund", mode="shadow", name="big")
    with a_place(tmp_path / "other.db", a_policy(shadow)) as place:
        place.caller().registers()
        person = Person(place.app.test_client())
        person.logs_in(place.key("admin").secret)
        (path,) = re.findall(r'<h2[^>]*><a href="/dashboard(/policies/[^"]+)"', person.sees("/policies"))
        page = person.sees(path)
    assert "take <code>mode: shadow</code> out of the rule" in page
    assert "Put this rule in force" not in page


def test_which_policies_are_for_whom(admin: Caller, boss: Person) -> None:
    """The agents' page says under which policies each stands, and the policies' page for whom each is."""
    admin.registers()
    for name, more in (
        ("strict", {}),
        ("trial", {"mode": "shadow"}),
        ("resting", {"enabled": False}),
        ("foreign", {"agentSelector": {"anyOfSlugs": ["another"]}}),
    ):
        boss.sends("/policies", content=json.dumps({**a_policy(a_rule(BIG), name=name), **more}))
    told = re.sub(r"<[^>]+>|\s+", " ", boss.sees("/agents").split("Policies:")[1].split("</p>")[0]).split(" , ")
    assert {"resting off", "strict in force", "trial shadow"} == {" ".join(each.strip(" .").split()) for each in told}
    page = boss.sees("/policies")
    assert (3, 1) == (page.count("<p>For desk</p>"), page.count("<p>For no agent that has registered</p>"))


@pytest.mark.parametrize("policy_id", ["edit", "check", "try", "delete"])
def test_ids_that_are_words_of_ours(boss: Person, policy_id: str) -> None:
    """A policy of any id can be looked at, edited, and taken back."""
    text = json.dumps({**a_policy(a_rule(BIG), name="Odd"), "id": policy_id})
    assert 303 == boss.sends("/policies", content=text).status_code
    assert "Version 1" in boss.sees(f"/policies/{policy_id}")
    assert policy_id in boss.sees(f"/edit-policy?policy={policy_id}")
    assert 303 == boss.sends(f"/policies/{policy_id}/delete").status_code
    assert "taken back" in boss.sees(f"/policies/{policy_id}").lower()
