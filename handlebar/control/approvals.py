"""Questions to people: put once however often the same call is tried, answered once, used up by the call."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from attrs import frozen
from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, insert, not_, select, update

from handlebar._plumbing.clock import time_ns
from handlebar._plumbing.identifiers import uuid7
from handlebar.control.agents import of_tenant
from handlebar.control.handoffs import approval_events
from handlebar.control.moments import microseconds, moment
from handlebar.control.tables import approval_answers, approvals
from handlebar.core.plane import ApprovalStatus, EvaluateRequest
from handlebar.core.schema.rules import ApprovalTerms
from handlebar.errors import RefusedError
from handlebar.policy.decisions import ApprovalView, fingerprint
from handlebar.policy.engine import Outcome

Answer = Literal["approved", "denied"]

_SECOND = 1_000_000
_LATEST = (
    select(approvals)
    .where(approvals.c.fingerprint == bindparam("mark"))
    .order_by(approvals.c.created_at.desc(), approvals.c.id.desc())
    .limit(1)
)


@frozen(kw_only=True)
class ApprovalAnswer:
    """What one person has answered."""

    status: Answer
    responded_by: str
    note: str | None
    at: datetime


@frozen(kw_only=True)
class ApprovalRecord:
    """
    A question to a person, and what has become of it.

    Attributes:
        args: The arguments of the call that it is about, as plain JSON values; untrusted.

        actor_id: Whom the agent acted for.

        status: `pending`, `approved`, `denied`, `expired`, or `used`: approved, and the call has been made.

        reason: Why the rule asks.

        required: So many people have to approve.

        approvers: Who may answer; None for anybody.
    """

    id: str
    agent_id: str
    run_id: str
    rule_id: str
    tool_name: str
    args: Any
    actor_id: str | None
    status: ApprovalStatus
    reason: str | None
    required: int
    approvers: tuple[str, ...] | None
    created_at: datetime
    expires_at: datetime | None
    answers: tuple[ApprovalAnswer, ...]


def ask(connection: Connection, request: EvaluateRequest, outcome: Outcome) -> ApprovalView:
    """Return where the question stands that *outcome* asks; put it, where there is no answer that holds."""
    rule = outcome.final_rule
    if rule is None:
        raise ValueError("Nobody is asked without a rule")
    mark = fingerprint(request.agent_id, rule, request.tool_name, request.args.value())
    known = connection.execute(_LATEST, {"mark": mark}).first()
    status = None if known is None else status_of(known)
    if known is not None and status in ("pending", "approved"):
        return ApprovalView(known.id, status)
    # A refusal stands for the rest of its run.
    if known is not None and status == "denied" and known.run_id == request.run_id:
        return ApprovalView(known.id, status)
    terms = rule.effect.approval or ApprovalTerms()
    made, now = uuid7(), time_ns() // 1000
    row = {
        "id": made,
        "agent_id": request.agent_id,
        "run_id": request.run_id,
        "rule_id": rule.id,
        "tool_name": request.tool_name,
        "args": request.args.text,
        "actor_id": request.actor.external_id if request.actor else None,
        "fingerprint": mark,
        "status": "pending",
        "reason": rule.effect.reason,
        "required": terms.required,
        "approvers": None if terms.approvers is None else list(terms.approvers),
        "uses_left": terms.uses,
        "created_at": now,
        "expires_at": None if terms.expires_in_seconds is None else now + int(terms.expires_in_seconds * _SECOND),
    }
    connection.execute(insert(approvals).values(row))
    approval_events.tell_pending(connection, made)
    return ApprovalView(made, "pending")


def use(connection: Connection, approval_id: str) -> None:
    """Take one use of an approval, for the call that is allowed by it."""
    this = approvals.c.id == approval_id
    connection.execute(update(approvals).where(this).values(uses_left=approvals.c.uses_left - 1))
    connection.execute(update(approvals).where(this, approvals.c.uses_left <= 0).values(status="used"))


def respond(
    connection: Connection, tenant: str, approval_id: str, answer: Answer, responded_by: str, note: str | None
) -> None:
    """
    Take a person's answer; call it in a transaction that writes, so that of two that race one wins.

    Raises:
        RefusedError: There is no such question (404); it is answered or has expired, or this person has answered
            already (409); the person is none of its approvers (403).
    """
    row = _row(connection, tenant, approval_id)
    status = status_of(row)
    if status != "pending":
        raise RefusedError(f"The approval {approval_id} is not open any more: it is {status}", status=409)
    if row.approvers is not None and responded_by not in row.approvers:
        raise RefusedError(
            f"{responded_by!r} may not answer; its approvers may: {', '.join(row.approvers)}", status=403
        )
    given = _answers(connection, [approval_id])[approval_id]
    if any(each.responded_by == responded_by for each in given):
        raise RefusedError(f"{responded_by!r} has answered already", status=409)
    one = {"approval_id": approval_id, "status": answer, "responded_by": responded_by, "note": note}
    connection.execute(insert(approval_answers).values(**one, at=time_ns() // 1000))
    if answer == "denied" or len(given) + 1 >= row.required:
        connection.execute(update(approvals).where(approvals.c.id == approval_id).values(status=answer))
        approval_events.tell_answered(connection, approval_id, responded_by=responded_by)


def find(connection: Connection, tenant: str, approval_id: str) -> ApprovalRecord:
    """
    Return the question of that id.

    Raises:
        RefusedError: There is none (404).
    """
    (found,) = _records(connection, [_row(connection, tenant, approval_id)])
    return found


def listed(connection: Connection, tenant: str, status: ApprovalStatus | None, limit: int) -> list[ApprovalRecord]:
    """Return the latest questions of that *status*, or of any; newest first."""
    query = (
        select(approvals)
        .where(approvals.c.agent_id.in_(of_tenant(tenant)))
        .order_by(approvals.c.created_at.desc(), approvals.c.id.desc())
    )
    if status is not None:
        query = query.where(*_of_status(status))
    return _records(connection, connection.execute(query.limit(limit)).all())


def of_runs(connection: Connection, tenant: str, run_ids: Sequence[str]) -> list[ApprovalRecord]:
    """Return what people were asked in these runs, oldest first."""
    wanted = (approvals.c.agent_id.in_(of_tenant(tenant)), approvals.c.run_id.in_(run_ids))
    query = select(approvals).where(*wanted).order_by(approvals.c.created_at, approvals.c.id)
    return _records(connection, connection.execute(query).all())


def before(connection: Connection, tenant: str, question: ApprovalRecord, limit: int) -> list[ApprovalRecord]:
    """Return what was asked of the same tool of the same agent before *question*, newest first."""
    at = microseconds(question.created_at)
    query = select(approvals).where(
        approvals.c.agent_id == question.agent_id,
        approvals.c.agent_id.in_(of_tenant(tenant)),
        approvals.c.tool_name == question.tool_name,
        approvals.c.created_at < at,
    )
    return _records(connection, connection.execute(query.order_by(approvals.c.created_at.desc()).limit(limit)).all())


def status_of(row: Row[Any]) -> Any:
    """Return the status of a question now; one that nobody has answered in time is `expired`."""
    expired = row.status == "pending" and row.expires_at is not None and row.expires_at <= time_ns() // 1000
    return "expired" if expired else row.status


def _of_status(status: ApprovalStatus) -> list[ColumnElement[bool]]:
    """Return the tests of what `status_of` says."""
    expired = and_(approvals.c.expires_at.is_not(None), approvals.c.expires_at <= time_ns() // 1000)
    if status in ("pending", "expired"):
        return [approvals.c.status == "pending", expired if status == "expired" else not_(expired)]
    return [approvals.c.status == status]


def _row(connection: Connection, tenant: str, approval_id: str) -> Row[Any]:
    wanted = (approvals.c.id == approval_id, approvals.c.agent_id.in_(of_tenant(tenant)))
    row = connection.execute(select(approvals).where(*wanted)).first()
    if row is None:
        raise RefusedError(f"There is no approval with the id {approval_id!r}", status=404)
    return row


def _answers(connection: Connection, approval_ids: Sequence[str]) -> Mapping[str, Sequence[ApprovalAnswer]]:
    """Return the answers to each question, in the order in which they came."""
    found: dict[str, list[ApprovalAnswer]] = {each: [] for each in approval_ids}
    query = select(approval_answers).where(approval_answers.c.approval_id.in_(approval_ids))
    for row in connection.execute(query.order_by(approval_answers.c.id)):
        answer = ApprovalAnswer(status=row.status, responded_by=row.responded_by, note=row.note, at=moment(row.at))
        found[row.approval_id].append(answer)
    return found


def _records(connection: Connection, rows: Sequence[Row[Any]]) -> list[ApprovalRecord]:
    answers = _answers(connection, [row.id for row in rows]) if rows else {}
    return [_record(row, answers[row.id]) for row in rows]


def _record(row: Row[Any], answers: Sequence[ApprovalAnswer]) -> ApprovalRecord:
    return ApprovalRecord(
        id=row.id,
        agent_id=row.agent_id,
        run_id=row.run_id,
        rule_id=row.rule_id,
        tool_name=row.tool_name,
        args=json.loads(row.args),
        actor_id=row.actor_id,
        status=status_of(row),
        reason=row.reason,
        required=row.required,
        approvers=None if row.approvers is None else tuple(row.approvers),
        created_at=moment(row.created_at),
        expires_at=None if row.expires_at is None else moment(row.expires_at),
        answers=tuple(answers),
    )
