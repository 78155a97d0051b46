"""Questions to people: one for each fingerprint, however often the same call is tried."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select

from handlebar._plumbing.clock import time_ns
from handlebar._plumbing.identifiers import uuid7
from handlebar.control.tables import approvals
from handlebar.core.plane import EvaluateRequest
from handlebar.policy.decisions import ApprovalView, fingerprint
from handlebar.policy.engine import Outcome


def ask(connection: Connection, request: EvaluateRequest, outcome: Outcome) -> ApprovalView:
    """Return where the question stands that *outcome* asks; put it, where it has not been put yet."""
    rule = outcome.final_rule
    if rule is None:
        raise ValueError("Nobody is asked without a rule")
    mark = fingerprint(request.agent_id, rule.id, request.tool_name, request.args.value())
    known = connection.execute(select(approvals).where(approvals.c.fingerprint == mark)).first()
    if known is not None:
        return ApprovalView(known.id, known.status)
    made = uuid7()
    row = {
        "id": made,
        "agent_id": request.agent_id,
        "run_id": request.run_id,
        "rule_id": rule.id,
        "tool_name": request.tool_name,
        "args": request.args.text,
        "fingerprint": mark,
        "status": "pending",
        "created_at": time_ns() // 1000,
    }
    connection.execute(insert(approvals).values(row))
    return ApprovalView(made, "pending")
