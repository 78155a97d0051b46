"""The inbox: what waits for a person's answer, in one list."""

from __future__ import annotations

from typing import Any

from flask import Response

from handlebar.errors import RefusedError
from handlebar.server.dashboard.live import watching
from handlebar.server.dashboard.pages import Page, Visit, go_to, refused, show

_LATEST = 20


def _inbox(visit: Visit) -> str:
    plane = visit.plane
    answered = [each for each in plane.approvals(limit=_LATEST) if each.status != "pending"]
    return show(
        "inbox.html", visit, waiting=plane.approvals(status="pending"), answered=answered, slugs=plane.agent_slugs()
    )


def _answer(visit: Visit) -> Any:
    status, note = visit.field("status"), visit.field("note") or None
    who = visit.field("who") or visit.session.key.name
    try:
        visit.plane.respond(visit.names["approval_id"], status, responded_by=who, note=note)  # type: ignore[arg-type]  # checked there
    except RefusedError as error:
        return refused(visit, error.status, _who_was_first(visit, error))
    return go_to("inbox", said=f"Your answer counts: {status}.")


def _who_was_first(visit: Visit, error: RefusedError) -> str:
    if error.status != 409:
        return str(error)
    found = visit.plane.approval(visit.names["approval_id"])
    answers = ", ".join(f"{each.responded_by} ({each.status})" for each in found.answers)
    return f"It is {found.status} already. Answered by: {answers or 'nobody'}."


def _live(visit: Visit) -> Response:
    plane = visit.plane
    return watching(lambda: tuple(each.id for each in plane.approvals(status="pending")))


PAGES = (
    Page("GET", "/inbox", "inbox", _inbox),
    Page("GET", "/live/inbox", "inbox_live", _live),
    Page("POST", "/inbox/<approval_id>", "inbox_answer", _answer, changes=True),
)
