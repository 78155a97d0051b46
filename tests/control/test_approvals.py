"""Approvals in the database: asked once, answered once, used up."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import handlebar
from handlebar.control import EmbeddedControlPlane, open_control_plane
from handlebar.core import HitlPendingCause, RuleViolationCause
from handlebar.errors import ApprovalPendingError, ConfigError, PolicyError, RefusedError
from handlebar.policy import load_policies
from tests.support.control import a_desk, a_policy, a_rule, at_once, url_of

EVERY_REFUND = {"kind": "toolName", "op": "eq", "value": "refund"}


def asking(**terms: Any) -> Any:
    """Return a policy that asks a person about every refund, on such terms."""
    rule = a_rule(EVERY_REFUND, "hitl")
    rule["effect"] |= {"control": "CONTINUE", "approval": terms} if terms else {"control": "CONTINUE"}
    return a_policy(rule)


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    return tmp_path / "plane.db"


@pytest.fixture(name="person")
def _person(file: Path) -> Iterator[EmbeddedControlPlane]:
    """Somebody who answers, from a control plane of their own on the same file."""
    plane = open_control_plane(url_of(file))
    yield plane
    plane.close()


def test_a_yes_is_used_up_by_one_call(file: Path, person: EmbeddedControlPlane) -> None:
    """The same call once more is a new question."""
    with a_desk(file, asking()) as desk:
        first = desk.asks(args={"amount": 5})
        assert isinstance(first.cause, HitlPendingCause)
        person.respond(first.cause.approval_id, "approved", responded_by="ann", note="fine")
        assert desk.may(args={"amount": 5})
        again = desk.asks(args={"amount": 5})
        assert isinstance(again.cause, HitlPendingCause)
        assert first.cause.approval_id != again.cause.approval_id
    used = person.approval(first.cause.approval_id)
    assert ("used", "refund", {"amount": 5}) == (used.status, used.tool_name, used.args)
    assert [("approved", "ann", "fine")] == [(each.status, each.responded_by, each.note) for each in used.answers]


def test_a_yes_is_for_one_thing(file: Path, person: EmbeddedControlPlane) -> None:
    """Another argument is another question."""
    with a_desk(file, asking()) as desk:
        pending = desk.asks(args={"amount": 5})
        person.respond(pending.cause.approval_id, "approved", responded_by="ann")
        assert not desk.may(args={"amount": 6})
        assert desk.may(args={"amount": 5})


def test_an_approval_may_be_good_for_several_calls(file: Path, person: EmbeddedControlPlane) -> None:
    """As many as its rule says."""
    with a_desk(file, asking(uses=2)) as desk:
        person.respond(desk.asks().cause.approval_id, "approved", responded_by="ann")
        assert [True, True, False] == [desk.may() for _ in range(3)]


def test_racing_calls_use_an_approval_once(file: Path, person: EmbeddedControlPlane) -> None:
    """Of many threads that make the approved call at once, one is allowed."""
    with a_desk(file, asking()) as desk:
        person.respond(desk.asks().cause.approval_id, "approved", responded_by="ann")
        assert 1 == sum(at_once([desk.may] * 12))


def test_a_no_stands_for_its_run(file: Path, person: EmbeddedControlPlane) -> None:
    """The same run is refused without asking again; another run may ask."""
    with a_desk(file, asking()) as desk:
        person.respond(desk.asks(run="one").cause.approval_id, "denied", responded_by="ann")
        assert isinstance(desk.asks(run="one").cause, RuleViolationCause)
        assert isinstance(desk.asks(run="two").cause, HitlPendingCause)
    assert ["pending", "denied"] == [each.status for each in person.approvals()]
    assert ["denied"] == [each.status for each in person.approvals(status="denied")]


def test_one_of_two_racing_answers_wins(file: Path, person: EmbeddedControlPlane) -> None:
    """The others are told that they came too late."""
    with a_desk(file, asking()) as desk:
        approval_id = desk.asks().cause.approval_id

        def answer(number: int) -> str:
            try:
                person.respond(approval_id, "approved" if number % 2 else "denied", responded_by=f"p-{number}")
            except RefusedError as error:
                return str(error.status)
            return "won"

        outcomes = at_once([lambda number=number: answer(number) for number in range(8)])
    assert ["409"] * 7 + ["won"] == sorted(outcomes)


def test_several_people_have_to_approve(file: Path, person: EmbeddedControlPlane) -> None:
    """The same person does not count twice."""
    with a_desk(file, asking(required=2, approvers=["ann", "bob"])) as desk:
        approval_id = desk.asks().cause.approval_id
        person.respond(approval_id, "approved", responded_by="ann")
        with pytest.raises(RefusedError, match="has answered already"):
            person.respond(approval_id, "approved", responded_by="ann")
        with pytest.raises(RefusedError, match="may not answer"):
            person.respond(approval_id, "approved", responded_by="eve")
        assert not desk.may()
        assert "approved" == person.respond(approval_id, "approved", responded_by="bob").status
        assert desk.may()


def test_one_who_denies_is_enough(file: Path, person: EmbeddedControlPlane) -> None:
    """However many would have to approve."""
    with a_desk(file, asking(required=2)) as desk:
        approval_id = desk.asks().cause.approval_id
        assert "denied" == person.respond(approval_id, "denied", responded_by="ann").status


def test_a_question_expires(file: Path, person: EmbeddedControlPlane) -> None:
    """It cannot be answered any more, and the same call asks anew."""
    with a_desk(file, asking(expiresInSeconds=0.001)) as desk:
        first = desk.asks().cause.approval_id
        assert first != desk.asks().cause.approval_id
        assert "expired" == person.approval(first).status
        assert first in [each.id for each in person.approvals(status="expired")]
        with pytest.raises(RefusedError, match="expired"):
            person.respond(first, "approved", responded_by="ann")


def test_a_changed_rule_asks_anew(file: Path, person: EmbeddedControlPlane) -> None:
    """A yes to the rule as it was is none to the rule as it is."""
    with a_desk(file, asking()) as desk:
        person.respond(desk.asks().cause.approval_id, "approved", responded_by="ann")
    with a_desk(file, asking(uses=3)) as desk:
        assert not desk.may()


def test_bad_answers_are_refused_at_the_door(person: EmbeddedControlPlane) -> None:
    """The error names the field, or the id that does not exist."""
    with pytest.raises(RefusedError, match="no approval"):
        person.respond("nothing", "approved", responded_by="ann")
    with pytest.raises(RefusedError, match="no approval"):
        person.approval("nothing")
    with pytest.raises(ConfigError, match="status"):
        person.respond("x", "maybe", responded_by="ann")  # type: ignore[arg-type]  # what is tested
    with pytest.raises(ConfigError, match="responded_by"):
        person.respond("x", "approved", responded_by=" ")


@pytest.mark.parametrize(
    ("terms", "problem"),
    [
        ({"required": 0}, "required"),
        ({"required": 2, "approvers": ["ann"]}, "at most the number of approvers"),
        ({"approvers": []}, "empty"),
        ({"expiresInSeconds": 0}, "expiresInSeconds"),
        ({"uses": 0.5}, "uses"),
        ({"use": 1}, "use"),
    ],
)
def test_terms_that_cannot_be_met_are_no_policy(terms: dict[str, Any], problem: str) -> None:
    """Loading says what is wrong with them."""
    with pytest.raises(PolicyError, match=problem):
        load_policies([asking(**terms)])


RESUME = """
import sys, handlebar
hb = handlebar.init("desk", api_endpoint=sys.argv[1])

@handlebar.tool(on_approval="raise")
def refund(amount: int) -> str:
    return f"refunded {amount}"

with hb.resume_run(sys.argv[2]) as run:
    print(run.run_id, run.actor.external_id, refund(5))
hb.shutdown_sync()
"""


@pytest.mark.slow
def test_a_run_is_resumed_in_another_process(file: Path, person: EmbeddedControlPlane) -> None:
    """Parked here, approved by a person, continued there: one run, one trail, which is intact."""
    client = handlebar.HandlebarClient(
        handlebar.HandlebarClientConfig("desk", api_endpoint=url_of(file), policies=[asking()])
    )

    @handlebar.tool(on_approval="raise")
    def refund(amount: int) -> str:
        raise AssertionError("the call must not be made")

    with pytest.raises(ApprovalPendingError) as parked, client.run("run-1", actor="u-1"):
        refund(5)
    client.shutdown_sync()
    assert "active" == person.runs()[0].status

    person.respond(parked.value.approval_id, "approved", responded_by="ann")
    arguments = [sys.executable, "-c", RESUME, url_of(file), parked.value.resume_token]
    there = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert ("run-1 u-1 refunded 5\n", "") == (there.stdout, there.stderr)
    run = person.runs()[0]
    assert ("run-1", "success") == (run.run_id, run.status)
    kinds = [event["kind"] for event in person.events("run-1")]
    assert ["run.started", "tool.decision", "tool.decision", "tool.result", "run.ended"] == kinds
    assert person.verify_chain(run.agent_id, "run-1").intact
