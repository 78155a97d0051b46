"""What is told of questions to people: that one waits for an answer, and who may give it; that it was answered."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, select

from handlebar.control.handoffs import outbox
from handlebar.control.handoffs.outbox import Event
from handlebar.control.moments import moment
from handlebar.control.tables import agents, approvals

PENDING = "approval.pending"
ANSWERED = "approval.answered"


def tell_pending(connection: Connection, approval_id: str) -> None:
    """Tell that somebody has to answer; call it in the transaction that asks."""
    _tell(connection, PENDING, approval_id)


def tell_answered(connection: Connection, approval_id: str, *, responded_by: str) -> None:
    """Tell that a question is closed; call it in the transaction that takes the answer which closes it."""
    _tell(connection, ANSWERED, approval_id, responded_by=responded_by)


def _tell(connection: Connection, kind: str, approval_id: str, **more: Any) -> None:
    both = approvals.join(agents, agents.c.id == approvals.c.agent_id)
    query = select(approvals, agents.c.slug, agents.c.tenant).select_from(both).where(approvals.c.id == approval_id)
    row = connection.execute(query).one()
    told = {**_details(row), **more}
    between = (row.slug, row.agent_id)
    event = Event(type=kind, packet_id=None, status=row.status, agents=between, details=told)
    outbox.append(connection, row.tenant, event)


def _details(row: Row[Any]) -> dict[str, Any]:
    """Return what may be told of a question; what the call's arguments are may not."""
    return {
        "approval_id": row.id,
        "agent": row.slug,
        "run_id": row.run_id,
        "tool": row.tool_name,
        "rule": row.rule_id,
        "reason": row.reason,
        "approvers": row.approvers,
        "required": row.required,
        "created_at": moment(row.created_at),
        "expires_at": None if row.expires_at is None else moment(row.expires_at),
    }
