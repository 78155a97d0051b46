"""Webhooks tell who must answer a question, and that it was answered."""

from __future__ import annotations

from pathlib import Path

import pytest

from handlebar._plumbing.clock import Deadline
from handlebar.control.handoffs import webhooks_store as webhooks
from tests.support.control import PATIENT, a_desk, a_policy, a_rule
from tests.support.http_server import Answer, HttpServer
from tests.support.waiting import eventually
from tests.support.webhooks import SECRET

RULE = a_rule({"kind": "toolName", "op": "eq", "value": "refund"}, "hitl")
EFFECT = {"type": "hitl", "reason": "Too dear", "approval": {"approvers": ["ann", "bob"], "required": 2}}
ASKS = a_policy({**RULE, "effect": EFFECT})


def test_a_webhook_tells_who_must_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An embedded plane tells of a question that waits, once, and of the answer that closes it, without arguments."""
    monkeypatch.setenv("HANDLEBAR_WEBHOOK_ALLOW", "127.0.0.1/32")
    with HttpServer() as receiver, a_desk(tmp_path / "plane.db", ASKS) as desk:
        receiver.behave(Answer(200))
        with desk.plane._database.write(Deadline.after(PATIENT)) as connection:
            wanted = ("approval.pending", "approval.answered")
            webhooks.register(connection, "default", url=receiver.url, events=wanted, secret=SECRET)
        assert not desk.may("refund", args={"card": "4111"})
        assert not desk.may("refund", args={"card": "4111"})
        assert eventually(lambda: len(receiver.requests) == 1)
        told = receiver.requests[0].json()
        (asked,) = desk.plane.approvals()
        assert ("approval.pending", None, "pending") == (told["event"], told["packet_id"], told["status"])
        details = {**told["details"], "created_at": None}
        assert {
            "approval_id": asked.id,
            "agent": "desk",
            "run_id": "run",
            "tool": "refund",
            "rule": asked.rule_id,
            "reason": "Too dear",
            "approvers": ["ann", "bob"],
            "required": 2,
            "created_at": None,
            "expires_at": None,
        } == details
        desk.plane.respond(asked.id, "approved", responded_by="ann")
        desk.plane.respond(asked.id, "approved", responded_by="bob")
        assert eventually(lambda: len(receiver.requests) == 2)
        told = receiver.requests[1].json()
        assert ("approval.answered", "approved", "bob") == (
            told["event"],
            told["status"],
            told["details"]["responded_by"],
        )
        assert b"4111" not in b"".join(request.body for request in receiver.requests)


def test_another_tenant_is_told_nothing(tmp_path: Path) -> None:
    """A webhook of another tenant has nothing to be told of a question."""
    with a_desk(tmp_path / "plane.db", ASKS) as desk:
        database = desk.plane._database
        with database.write(Deadline.after(PATIENT)) as connection:
            hook = webhooks.register(
                connection, "other", url="http://127.0.0.1:1/", events=("approval.pending",), secret=SECRET
            )
        assert not desk.may("refund")
        with database.read(Deadline.after(PATIENT)) as connection:
            assert [] == webhooks.deliveries(connection, "other", hook.id, status=None, limit=9, offset=0)
