"""What people ask: runs and their events, questions and answers, lockdowns."""

from __future__ import annotations

from typing import get_args

from handlebar.core import wire
from handlebar.core.plane import ApprovalStatus
from handlebar.server import decoding, encoding
from handlebar.server.asking import Asked, Route
from handlebar.server.problems import ProblemError, malformed


def _approvals(asked: Asked) -> str:
    status = asked.request.args.get("status")
    if status is not None and status not in get_args(ApprovalStatus):
        raise malformed("status", f"one of {', '.join(map(repr, get_args(ApprovalStatus)))}")
    found = asked.plane.approvals(status=status, limit=asked.limit())  # type: ignore[arg-type]  # checked above
    return encoding.encode({"approvals": [wire.to_dict(each) for each in found]})


def _respond(asked: Asked) -> str:
    status, responded_by, note = decoding.answer_in(asked.body())
    approval_id = asked.names["approval"]
    answered = asked.plane.respond(approval_id, status, responded_by=responded_by, note=note)
    return encoding.encode(wire.to_dict(answered))


def _lock_down(asked: Asked) -> str:
    body = asked.body()
    reason, order = body.text("reason"), decoding.lockdown_in(body)
    made = asked.plane.lock_down(asked.agent_slug, reason, until=order.until, actor=order.actor, tool=order.tool)
    return encoding.encode(encoding.lockdown(made))


def _lift(asked: Asked) -> str:
    order = decoding.lockdown_in(asked.optional_body())
    lifted = asked.plane.lift_lockdown(asked.agent_slug, actor=order.actor, tool=order.tool)
    return encoding.encode({"lifted": lifted})


def _runs(asked: Asked) -> str:
    return encoding.encode({"runs": [wire.to_dict(each) for each in asked.plane.runs(limit=asked.limit())]})


def _events(asked: Asked) -> str:
    run_id = asked.names["run"]
    found = asked.plane.events(run_id)
    if not found and not asked.plane.runs_of_id(run_id):
        raise ProblemError(404, f"There is no run with the id {run_id!r}")
    return encoding.encode({"events": found})


ROUTES = (
    Route("GET", "/v1/approvals", "viewer", _approvals),
    Route("POST", "/v1/approvals/<approval>/respond", "admin", _respond),
    Route("PUT", "/v1/agents/<name:agent>/lockdown", "admin", _lock_down),
    Route("DELETE", "/v1/agents/<name:agent>/lockdown", "admin", _lift),
    Route("GET", "/v1/runs", "viewer", _runs),
    Route("GET", "/v1/runs/<name:run>/events", "viewer", _events),
)
