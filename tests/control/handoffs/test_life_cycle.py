"""The life of a packet, against a table of its own: whatever is tried, in whatever order."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from handlebar.control.handoffs import life_cycle
from handlebar.control.handoffs.drafts import Change, Draft
from handlebar.control.handoffs.problems import ProblemError
from handlebar.handoff.models.packets import HitlRespondRequest, PacketResponse
from handlebar.handoff.models.parts import Decision, TargetAgentInfo
from handlebar.handoff.models.words import PacketStatus
from tests.support.handoffs import QUESTION, a_draft

TABLE = {
    "created": "claimed awaiting_human failed expired",
    "claimed": "in_progress awaiting_human failed expired",
    "in_progress": "completed awaiting_human failed expired",
    "awaiting_human": "claimed in_progress failed expired",
    "completed": "expired",
    "failed": "expired",
    "expired": "",
}
START = datetime(2026, 3, 4, 10, tzinfo=timezone.utc)
CLAIMER = TargetAgentInfo(id="x", name="X")
ID = "5d1f0c1e-7c39-4a59-9a39-0f5d0f1f2a11"


def a_packet(status: str = "created", **more: Any) -> PacketResponse:
    """Return a packet in that *status*."""
    made = life_cycle.begun(Draft.from_dict(a_draft(**more)), packet_id=ID, at=START)
    return evolve(made, status=PacketStatus(status))


def waiting(**more: Any) -> PacketResponse:
    """Return a packet that waits for a person."""
    return a_packet("awaiting_human", hitl={**QUESTION, **more})


def attempt(packet: PacketResponse, step: tuple[str, Any], at: datetime) -> PacketResponse | int:
    """Return what a step makes of *packet*, or the status with which it is refused."""
    kind, value = step
    try:
        if kind == "claim":
            return life_cycle.claimed(packet, CLAIMER, at)
        if kind == "respond":
            return life_cycle.answered(packet, HitlRespondRequest(response=value, responded_by="ann"), at)
        return life_cycle.changed(packet, Change.from_dict(value), at)
    except ProblemError as problem:
        return problem.status


STATUSES = st.sampled_from(sorted(TABLE))
FORGED = {"response": "yes", "responded_by": "mallory", "responded_at": "2026-01-01T00:00:00Z", "notes": "sure"}
QUESTIONS = st.fixed_dictionaries(
    {"reason": st.sampled_from(["Above limit", "Other"]), "required": st.booleans()},
    optional={
        "options": st.sampled_from([["yes", "no"], ["later"]]),
        **{name: st.just(value) for name, value in FORGED.items()},
    },
)
STEPS = st.one_of(
    st.tuples(st.just("claim"), st.none()),
    st.tuples(st.just("respond"), st.sampled_from(["yes", "no", "perhaps"])),
    st.tuples(st.just("change"), st.fixed_dictionaries({}, optional={"status": STATUSES, "hitl": QUESTIONS})),
)


@pytest.mark.parametrize("before", TABLE)
@pytest.mark.parametrize("after", TABLE)
def test_a_packet_becomes_what_the_table_says(before: str, after: str) -> None:
    """Every pair of statuses: allowed, a move to where it is already, or refused with 400."""
    outcome = attempt(a_packet(before), ("change", {"status": after}), START)
    if after in TABLE[before].split() or after == before:
        assert isinstance(outcome, PacketResponse)
        assert after == outcome.status
    else:
        assert 400 == outcome


@given(first=st.none() | QUESTIONS, steps=st.lists(STEPS, max_size=12))
def test_nothing_but_an_answer_ends_an_open_question(first: Any, steps: list[tuple[str, Any]]) -> None:
    """Whatever is tried: every move is in the table, and the answer is one that a person gave."""
    packet = life_cycle.begun(Draft.from_dict(a_draft(hitl=first)), packet_id=ID, at=START)
    assert packet.hitl is None or packet.hitl.response is None
    for number, step in enumerate(steps):
        outcome = attempt(packet, step, START + timedelta(seconds=number))
        if isinstance(outcome, int):
            assert outcome in (400, 409, 410, 422)
            continue
        moved = outcome.status is not packet.status
        assert not moved or outcome.status.value in TABLE[packet.status.value].split()
        if life_cycle.has_open_question(packet) and step[0] != "respond":
            assert outcome.status.value in ("awaiting_human", "failed", "expired")
            assert outcome.hitl == packet.hitl
        if outcome.hitl is not None and outcome.hitl.response is not None:
            assert "ann" == outcome.hitl.responded_by
        packet = outcome


@given(steps=st.lists(STEPS, max_size=8), at=st.timedeltas(timedelta(0), timedelta(days=400)))
def test_the_end_is_never_left(steps: list[tuple[str, Any]], at: timedelta) -> None:
    """An expired packet stays expired; one that lives has a day on which it ends, one that is done has none."""
    packet: Any = a_packet("expired", hitl=QUESTION)
    for step in steps:
        outcome = attempt(packet, step, START + at)
        packet = packet if isinstance(outcome, int) else outcome
        assert packet.status is PacketStatus.EXPIRED
    assert life_cycle.due_at(packet, None) is None
    assert life_cycle.due_at(a_packet("completed"), None) is None
    assert START + timedelta(hours=24) == life_cycle.due_at(a_packet("failed"), None)


def test_claims_are_refused_in_the_order_of_the_api() -> None:
    """Expired is 410, claimed 409 with the claimant, everything else that cannot be claimed 400."""
    outcomes = {status: attempt(a_packet(status), ("claim", None), START) for status in TABLE}
    refused = {status: outcome for status, outcome in outcomes.items() if isinstance(outcome, int)}
    assert {"expired": 410, "claimed": 409, "in_progress": 400, "completed": 400, "failed": 400} == refused
    with pytest.raises(ProblemError) as conflict:
        life_cycle.claimed(a_packet("claimed"), CLAIMER, START)
    assert {"id": "refunds-2", "name": "Refunds-2", "framework": None} == conflict.value.detail["claimed_by"]
    claimed = outcomes["created"]
    assert isinstance(claimed, PacketResponse)
    assert (CLAIMER, START) == (claimed.metadata.target_agent, claimed.metadata.claimed_at)


def test_answers_are_refused_in_the_order_of_the_api() -> None:
    """Who does not wait is 409, who has no question 400, an answer that is none of the options 422."""
    assert 409 == attempt(a_packet("created", hitl={**QUESTION, "required": False}), ("respond", "yes"), START)
    assert 400 == attempt(a_packet("awaiting_human"), ("respond", "yes"), START)
    assert 422 == attempt(waiting(), ("respond", "perhaps"), START)
    assert isinstance(attempt(waiting(options=None), ("respond", "perhaps"), START), PacketResponse)


def test_an_answer_lets_the_work_go_on() -> None:
    """It is claimed by whom it was meant for; who answered and when is noted, empty notes are none."""
    answer = HitlRespondRequest(response="yes", responded_by="ann", notes="")
    after = life_cycle.answered(waiting(), answer, START)
    hitl = after.hitl
    assert hitl is not None
    assert ("yes", "ann", START, None) == (hitl.response, hitl.responded_by, hitl.responded_at, hitl.notes)
    assert ("claimed", START, "refunds-2") == (after.status, after.metadata.claimed_at, after.metadata.target_agent.id)


def test_a_question_without_hitl_object_is_no_lock() -> None:
    """A packet that was moved to awaiting_human and asks nothing can be moved on."""
    after = attempt(a_packet("awaiting_human"), ("change", {"status": "in_progress"}), START)
    assert isinstance(after, PacketResponse)


def test_asking_again_needs_a_new_answer() -> None:
    """The old answer is not taken for one to the new question."""
    answered = life_cycle.answered(waiting(), HitlRespondRequest(response="yes", responded_by="ann"), START)
    again = life_cycle.changed(answered, Change(status=PacketStatus.AWAITING_HUMAN), START)
    assert life_cycle.has_open_question(again)


def test_a_change_leaves_alone_what_it_does_not_name() -> None:
    """Decisions are merged by id, the last of two with one id counts; actions and context are replaced."""
    packet = a_packet(decisions=[{"id": "d1", "decision": "A", "rationale": ""}], context={"custom": {"x": 1}})
    two = [{"id": "d2", "decision": word, "rationale": ""} for word in ("B", "C")]
    after = life_cycle.changed(packet, Change.from_dict({"decisions": two}), START)
    assert [("d1", "A"), ("d2", "C")] == [(each.id, each.decision) for each in after.decisions]
    assert packet.context == after.context
    replaced = [Decision(id="d1", decision="Z", rationale="")]
    assert ["Z"] == [each.decision for each in life_cycle.changed(packet, Change(decisions=replaced), START).decisions]
    assert {} == life_cycle.changed(packet, Change.from_dict({"context": {"summary": "s"}}), START).context.custom


@pytest.mark.parametrize(
    ("seconds", "waited"), [(60, 60), (0, 0), (-5, 0), (7 * 86400, 7 * 86400), (10**30, 3153600000)]
)
def test_a_question_is_open_as_long_as_it_says(seconds: int, waited: int) -> None:
    """However long, or short, from when it was asked on."""
    assert START + timedelta(seconds=waited) == life_cycle.due_at(waiting(timeout_seconds=seconds), START)


def test_a_question_without_end_is_open_for_a_day() -> None:
    """Like every packet that nobody touches."""
    assert START + timedelta(hours=24) == life_cycle.due_at(waiting(), START)


def test_a_chain_takes_the_conversation_along_and_nothing_else() -> None:
    """The parent's turns come first."""
    said = [{"role": "user", "content": "one"}]
    parent = a_packet(context={"conversation_state": said, "custom": {"x": 1}}, tags=["t"], hitl=QUESTION)
    draft = Draft.from_dict(a_draft(context={"conversation_state": [{"role": "agent", "content": "two"}]}))
    child = life_cycle.chained(draft, parent)
    assert ["one", "two"] == [each.content for each in child.context.conversation_state]
    assert ({}, [], None, parent.id) == (child.context.custom, child.metadata.tags, child.hitl, child.parent_packet_id)
