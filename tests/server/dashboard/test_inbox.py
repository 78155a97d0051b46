"""The inbox: what a person needs to answer, and that one answer counts."""

from __future__ import annotations

from typing import Any

from tests.server.dashboard.browser import Person
from tests.server.dashboard.test_pages import HOSTILE, a_run, waiting
from tests.support.servers import Caller, Place

AGENTS = {"source_agent": {"id": "a", "name": "Triage"}, "target_agent": {"id": "b", "name": "Billing"}}


def a_packet(admin: Caller, *, said: str = "hello", **hitl: Any) -> str:
    """Make a packet that waits for a person; return its id."""
    context = {"summary": "Refund <b>me</b>", "conversation_state": [{"role": "user", "content": said}]}
    question = {"required": True, "reason": "Above the limit", **hitl}
    made = admin.call("POST", "/api/v1/packets", {"metadata": AGENTS, "context": context, "hitl": question})
    assert 201 == made.status_code, made.text
    return str(made.get_json()["id"])


def test_packets_wait_in_the_same_list(place: Place, admin: Caller, boss: Person) -> None:
    """With their question, their options, and their conversation; one answer counts."""
    waiting(place, admin, boss)
    packet = a_packet(admin, said="Pay me <i>now</i>", question="Pay it?", options=["yes", "<no>"])
    page = boss.sees("/inbox")
    assert 2 == page.count('<article class="card"')
    for words in ("Above the limit", "Pay it?", 'type="radio" name="response" value="<no>"', "Pay me <i>now</i>"):
        assert words in page
    assert "Refund" in boss.sees("/")
    assert 400 == boss.sends(f"/inbox/{packet}", response="perhaps").status_code
    assert 303 == boss.sends(f"/inbox/{packet}", response="<no>", who="Ann", note="too much").status_code
    second = boss.sends(f"/inbox/{packet}", response="yes", who="Bob")
    assert (409, True) == (second.status_code, "Ann (&lt;no&gt;)" in second.text)
    assert 1 == boss.sees("/inbox").count('<article class="card"')


def test_a_packet_without_options(admin: Caller, boss: Person) -> None:
    """Takes any text."""
    packet = a_packet(admin, question="How much?")
    assert '<label>Answer <input name="response"' in boss.sees("/inbox")
    assert 303 == boss.sends(f"/inbox/{packet}", response="40 euros").status_code
    assert "40 euros" in boss.sees(f"/handoffs/{packet}")


def test_what_an_answer_depends_on(place: Place, admin: Caller, boss: Person) -> None:
    """What was said in the run, and what was asked of the same tool before, with its answer."""
    first = waiting(place, admin, boss)
    agent = a_run(admin, {"kind": "message.raw.created", "data": {"role": "user", "content": "Pay me, please"}})
    assert "Pay me, please" in boss.sees("/inbox")
    assert "What was asked before" not in boss.sees("/inbox")
    boss.sends(f"/inbox/{first}", response="denied", who="Ann", note="too much")
    question = {"agentId": agent, "phase": "tool.before", "tool": {"name": "refund"}, "args": {"amount": 8}}
    admin.does("POST", "/v1/runs/run-2/evaluate", question)
    page = boss.sees("/inbox")
    asked = page.split("What was asked before")[1].split("</details>")[0]
    assert ('"amount": 7' in asked, "Ann: denied (“too much”)" in asked) == (True, True)


def test_a_viewer_answers_nothing(admin: Caller, guest: Person) -> None:
    """There is no form to answer with, and none that is made by hand counts."""
    packet = a_packet(admin, options=["yes", "no"])
    assert 'name="response"' not in guest.sees("/inbox")
    assert 403 == guest.sends(f"/inbox/{packet}", response="yes").status_code


def test_hostile_packets(admin: Caller, boss: Person) -> None:
    """Are text, too."""
    text = HOSTILE[:300]
    packet = a_packet(admin, said=text, question=text, options=["yes"])
    for path in ("/inbox", "/", f"/handoffs/{packet}"):
        raw = boss.looks(path).text
        assert [] == [part for part in ("<script>alert", "\x1b", "\u202e", "<img src") if part in raw]
