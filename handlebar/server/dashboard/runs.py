"""Runs: a list that filters, and one run as a timeline."""

from __future__ import annotations

from typing import Any

from flask import Response

from handlebar.server.dashboard.live import watching
from handlebar.server.dashboard.pages import Page, Visit, refused, show
from handlebar.server.dashboard.timeline import entries


def _runs(visit: Visit) -> str:
    plane = visit.plane
    return show("runs.html", visit, runs=plane.runs(limit=50), slugs=plane.agent_slugs())


def _run(visit: Visit) -> Any:
    plane, run_id = visit.plane, visit.names["run_id"]
    found = plane.runs_of_id(run_id)
    events = plane.events(run_id)
    if not found and not events:
        return refused(visit, 404, "There is no such run.")
    reports = list(plane.verify_chains(run_id))
    return show(
        "run.html",
        visit,
        run_id=run_id,
        runs=found,
        slugs=plane.agent_slugs(),
        entries=entries(events),
        reports=reports,
        active=any(each.status == "active" for each in found),
    )


def _live(visit: Visit) -> Response:
    plane, run_id = visit.plane, visit.names["run_id"]
    return watching(
        lambda: sum(report.chain.length for report in plane.verify_chains(run_id)),
        is_over=lambda: all(each.status != "active" for each in plane.runs_of_id(run_id)),
    )


def _export(visit: Visit) -> Response:
    run_id = visit.names["run_id"]
    lines = (event.body.replace("\n", " ") + "\n" for event in visit.plane.stored_events(run_id))
    name = "".join(letter if letter.isalnum() else "-" for letter in run_id)[:80]
    headers = {"content-disposition": f'attachment; filename="{name}.jsonl"'}
    return Response(lines, mimetype="application/x-ndjson", headers=headers)


PAGES = (
    Page("GET", "/runs", "runs", _runs),
    Page("GET", "/runs/<path:run_id>/export", "run_export", _export),
    Page("GET", "/runs/<path:run_id>", "run", _run),
    Page("GET", "/live/runs/<path:run_id>", "run_live", _live),
)
