"""What people ask: runs and their events, questions and answers, lockdowns."""

from __future__ import annotations

from typing import Any, get_args

from handlebar.control.browsing import RUN_STATUSES, EventFilter, Page, RunFilter
from handlebar.core import wire
from handlebar.core.plane import ApprovalStatus
from handlebar.core.schema.governance import Verdict
from handlebar.server import decoding, encoding
from handlebar.server.asking import Asked, Route
from handlebar.server.fields import Fields
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
    query = Fields(asked.request.args.to_dict())
    wanted = RunFilter(
        agent=query.text_or_none("agent"),
        actor=query.text_or_none("actor"),
        session=query.text_or_none("session"),
        status=None if query.value("status") is None else query.word("status", RUN_STATUSES),
        since=query.moment_or_none("since"),
        until=query.moment_or_none("until"),
    )
    page = asked.plane.page_of_runs(wanted, limit=asked.limit(), after=query.text_or_none("after"))
    return encoding.encode({"runs": [wire.to_dict(each) for each in page.items], **_next(page)})


def _events(asked: Asked) -> str:
    query, run_id = Fields(asked.request.args.to_dict()), asked.names["run"]
    wanted = EventFilter(
        run=run_id,
        agent=query.text_or_none("agent"),
        kind=query.text_or_none("kind"),
        verdict=None if query.value("verdict") is None else query.word("verdict", tuple(map(str, Verdict))),
        rule=query.text_or_none("rule"),
        tool=query.text_or_none("tool"),
        tag=query.text_or_none("tag"),
        since=query.moment_or_none("since"),
        until=query.moment_or_none("until"),
    )
    page = asked.plane.page_of_events(wanted, limit=asked.limit(), after=query.text_or_none("after"))
    if not page.items and not asked.plane.has_run(run_id):
        raise ProblemError(404, f"There is no run with the id {run_id!r}")
    return encoding.encode({"events": [each.read() for each in page.items], **_next(page)})


def _next(page: Page[Any]) -> dict[str, str]:
    return {} if page.next is None else {"next": page.next}


ROUTES = (
    Route("GET", "/v1/approvals", "viewer", _approvals),
    Route("POST", "/v1/approvals/<approval>/respond", "admin", _respond),
    Route("PUT", "/v1/agents/<name:agent>/lockdown", "admin", _lock_down),
    Route("DELETE", "/v1/agents/<name:agent>/lockdown", "admin", _lift),
    Route("GET", "/v1/runs", "viewer", _runs),
    Route("GET", "/v1/runs/<name:run>/events", "viewer", _events),
)
