"""One run: what happened in it, live while it runs, why it was decided so, and where it was handed on."""

from __future__ import annotations

from typing import Any

from flask import Response

from handlebar.control.audit import StoredEvent
from handlebar.control.browsing import EventFilter
from handlebar.server.dashboard.live import watching
from handlebar.server.dashboard.pages import Page, Visit, refused, show
from handlebar.server.dashboard.timeline import entries
from handlebar.server.dashboard.tracing import traces

_AT_ONCE = 500


def _run(visit: Visit) -> Any:
    plane, run_id, cursor = visit.plane, visit.names["run_id"], visit.argument("cursor")
    found = plane.runs_of_id(run_id)
    page = plane.page_of_events(EventFilter(run=run_id), limit=_AT_ONCE, after=cursor)
    if not found and not page.items:
        return refused(visit, 404, "There is no such run.")
    read = [_object(event) for event in page.items]
    # What came before decides, too: without it there is nothing to tell.
    told = traces(plane, page.items) if cursor is None else [None] * len(read)
    return show(
        "run.html",
        visit,
        run_id=run_id,
        runs=found,
        slugs=plane.agent_slugs(),
        entries=list(zip(entries(read), told, strict=True)),
        next_cursor=page.next,
        reports=list(plane.verify_chains(run_id)),
        handoffs=plane.handed_over_by(run_id),
        active=any(each.status == "active" for each in found),
    )


def _object(event: StoredEvent) -> dict[str, Any]:
    """Return an event as its agent wrote it, empty where somebody has made something else of it."""
    body = event.read()
    return body if isinstance(body, dict) else {}


def _live(visit: Visit) -> Response:
    plane, run_id = visit.plane, visit.names["run_id"]
    return watching(
        lambda: plane.number_of_events(run_id),
        is_over=lambda: all(each.status != "active" for each in plane.runs_of_id(run_id)),
    )


def _export(visit: Visit) -> Response:
    run_id = visit.names["run_id"]
    lines = (event.body.replace("\n", " ") + "\n" for event in visit.plane.stored_events(run_id))
    name = "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in run_id)[:80]
    headers = {"content-disposition": f'attachment; filename="{name}.jsonl"'}
    return Response(lines, mimetype="application/x-ndjson", headers=headers)


PAGES = (
    Page("GET", "/runs/<path:run_id>/export", "run_export", _export),
    Page("GET", "/runs/<path:run_id>", "run", _run),
    Page("GET", "/live/runs/<path:run_id>", "run_live", _live),
)
