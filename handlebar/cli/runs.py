"""Commands about runs."""

from __future__ import annotations

import json
from typing import Any

import click

from handlebar.cli.documents import plain, show_document
from handlebar.cli.places import Place, at_place, json_option
from handlebar.cli.texts import show_fields, show_table
from handlebar.control.audit import StoredEvent
from handlebar.control.runs import RunView
from handlebar.errors import RefusedError

_MESSAGES = (("message",), ("error", "message"), ("content",), ("summary",))
"""Where the kinds of events have what they tell people."""

_VERDICTS = (("verdict",), ("outcome",), ("status",), ("role",))
"""Where the kinds of events have the one word that sums them up."""


@click.group("runs")
def command() -> None:
    """Look at what agents did."""


@command.command("list")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="So many at most.")
@json_option
@at_place()
def list_runs(place: Place, limit: int, as_json: bool) -> None:
    """List the latest runs, newest first."""
    found = place.administration.runs(limit=limit)
    slugs = place.administration.agent_slugs()
    if as_json:
        show_document([plain(run, agent=slugs[run.agent_id]) for run in found])
        return
    rows = [(run.run_id, slugs[run.agent_id], run.actor_id, run.status, run.started_at, run.ended_at) for run in found]
    show_table(("id", "agent", "actor", "status", "started", "ended"), rows, empty="There are no runs.")


@command.command("show")
@click.argument("run_id")
@json_option
@at_place()
def show_run(place: Place, run_id: str, as_json: bool) -> None:
    """Show the run RUN_ID: who ran it, and its audit events in order."""
    found = place.administration.runs_of_id(run_id)
    events = list(place.administration.stored_events(run_id))
    if not found and not events:
        raise RefusedError(f"There is no run with the id {run_id!r}", status=404)
    slugs = place.administration.agent_slugs()
    if as_json:
        runs = [plain(run, agent=slugs[run.agent_id]) for run in found]
        show_document({"runs": runs, "events": [_body(event) for event in events]})
        return
    for run in found:
        show_fields(_fields(run, slugs[run.agent_id]))
        click.echo()
    rows = [_entry(event) for event in events]
    show_table(("time", "kind", "tool", "verdict", "message"), rows, empty="The run has no events.")


def _fields(run: RunView, agent: str) -> dict[str, object]:
    return {
        "Run": run.run_id,
        "Agent": agent,
        "Actor": run.actor_id,
        "Session": run.session_id,
        "Status": run.status,
        "Started": run.started_at,
        "Ended": run.ended_at,
    }


def _entry(event: StoredEvent) -> tuple[object, ...]:
    body = _body(event)
    tool = _within(body, "data", "tool", "name")
    return event.ts, event.kind, tool, _first(body, _VERDICTS), _first(body, _MESSAGES)


def _first(body: Any, places: tuple[tuple[str, ...], ...]) -> Any:
    """Return what stands at the first of *places* that holds something."""
    return next((found for place in places if (found := _within(body, "data", *place)) is not None), None)


def _within(value: Any, *path: str) -> Any:
    """Return what stands at *path*; events that others have sent may be of any form."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _body(event: StoredEvent) -> Any:
    """Return the event as JSON values; as text, where somebody has made it something else in the database."""
    try:
        return json.loads(event.body)
    except (ValueError, RecursionError):
        return event.body
