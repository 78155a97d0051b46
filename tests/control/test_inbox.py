"""The inbox: approvals and packets, one list, one way to answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from handlebar.control.database import Database
from handlebar.control.handoffs.api import HandoffApi
from handlebar.control.inbox import Inbox
from handlebar.errors import ConfigError, RefusedError
from tests.support.control import Desk, a_desk, a_policy, a_rule, at_once, url_of
from tests.support.handoffs import QUESTION, Office, Somebody

EVERY_CALL = a_policy(a_rule({"kind": "toolName", "op": "glob", "value": "*"}, "hitl"))


@pytest.fixture(name="database")
def _database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database(url_of(tmp_path / "plane.db"))) as made:
        yield made


@pytest.fixture(name="desk")
def _desk(tmp_path: Path) -> Iterator[Desk]:
    with a_desk(tmp_path / "plane.db", EVERY_CALL) as made:
        yield made


@pytest.fixture(name="agent")
def _agent(database: Database) -> Somebody:
    return Office(database, HandoffApi(database)).somebody("agent")


def test_one_list(database: Database, desk: Desk, agent: Somebody) -> None:
    """What rules ask and what hand-offs ask, oldest first, with the answers that are taken."""
    run = {"custom": {"handlebar": {"run_id": "r-2"}}}
    packet = agent.makes("Pay back", hitl={**QUESTION, "timeout_seconds": 60}, context=run)
    approval = desk.asks("refund", run="r-1").cause.approval_id
    agent.makes("no question")
    first, second = Inbox(database, "default").waiting()
    assert ("packet", packet["id"], "intake-7", "Pay back", "r-2") == (
        first.kind,
        first.id,
        first.agent,
        first.about,
        first.run_id,
    )
    assert ("Above limit", "Pay?", ("yes", "no")) == (first.reason, first.question, first.options)
    assert first.expires_at is not None
    assert 60 == (first.expires_at - first.asked_at).total_seconds()
    assert ("approval", approval, "desk", "refund", "r-1") == (
        second.kind,
        second.id,
        second.agent,
        second.about,
        second.run_id,
    )
    assert ("approved", "denied") == second.options
    assert [first] == Inbox(database, "default").waiting(limit=1)
    assert [] == Inbox(database, "other").waiting()


def test_one_way_to_answer(database: Database, desk: Desk, agent: Somebody) -> None:
    """An answer lets the call, or the packet, go on, and leaves the list."""
    heard: list[int] = []
    inbox = Inbox(database, "default", on_change=lambda: heard.append(1))
    packet = agent.makes(hitl=QUESTION)
    desk.asks("refund")
    for item, answer in zip(inbox.waiting(), ("yes", "approved"), strict=True):
        inbox.answer(item.id, answer, responded_by="ann", note="fine")
    assert [] == inbox.waiting()
    assert desk.may("refund")
    assert "yes" == agent.does("GET", f"packets/{packet['id']}")["hitl"]["response"]
    assert [1, 1] == heard


def test_refusals(database: Database, desk: Desk, agent: Somebody) -> None:
    """Unknown ids, strangers' ids, answers that are none, answers that come too late."""
    inbox = Inbox(database, "default")
    packet = agent.makes(hitl=QUESTION)["id"]
    approval = desk.asks("refund").cause.approval_id
    for item in (packet, approval):
        with pytest.raises(ConfigError, match="response"):
            inbox.answer(item, "perhaps", responded_by="ann")
        with pytest.raises(ConfigError, match="responded_by"):
            inbox.answer(item, "yes", responded_by=" ")
        for stranger, unknown in ((Inbox(database, "other"), item), (inbox, "nothing")):
            with pytest.raises(RefusedError) as refused:
                stranger.answer(unknown, "approved", responded_by="ann")
            assert 404 == refused.value.status
    inbox.answer(packet, "no", responded_by="ann")
    with pytest.raises(RefusedError) as late:
        inbox.answer(packet, "yes", responded_by="bob")
    assert 409 == late.value.status


def test_what_has_run_out_is_not_asked(database: Database, agent: Somebody) -> None:
    """A question that nobody has answered in time leaves the list, and takes no answer."""
    packet = agent.makes(hitl={**QUESTION, "timeout_seconds": 0})["id"]
    inbox = Inbox(database, "default")
    assert [] == inbox.waiting()
    with pytest.raises(RefusedError, match="expired"):
        inbox.answer(packet, "yes", responded_by="ann")


def test_one_of_many_answers_wins(database: Database, agent: Somebody) -> None:
    """The others are told that they came too late."""
    packet = agent.makes(hitl=QUESTION)["id"]

    def answer(number: int) -> str:
        try:
            Inbox(database, "default").answer(packet, "yes", responded_by=f"p-{number}")
        except RefusedError as error:
            return str(error.status)
        return "won"

    assert ["409"] * 7 + ["won"] == sorted(at_once([lambda number=number: answer(number) for number in range(8)]))
