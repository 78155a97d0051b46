"""Commands about runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from threading import Event
from typing import Any

import click

from handlebar.cli.documents import plain, show_document
from handlebar.cli.events import entry
from handlebar.cli.places import Place, at_place, json_option
from handlebar.cli.stories import show_story
from handlebar.cli.texts import show_fields, show_table, shown
from handlebar.cli.times import past_moment
from handlebar.control.audit import StoredEvent
from handlebar.control.browsing import RUN_STATUSES, EventFilter, RunFilter
from handlebar.control.runs import RunView
from handlebar.control.stories import Story
from handlebar.errors import RefusedError

_NAP = 0.5
"""So many seconds pass before it is looked again whether there is anything new."""


@click.group("runs")
def command() -> None:
    """Look at what agents did."""


@command.command("list")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="So many at most.")
@click.option("--agent", metavar="SLUG", help="Only this agent's.")
@click.option("--actor", metavar="ID", help="Only those that act for this actor.")
@click.option("--session", metavar="ID", help="Only those of this session.")
@click.option("--status", type=click.Choice(RUN_STATUSES), help="Only those that stand so.")
@click.option("--since", metavar="TIME", callback=past_moment, help="Only those started since: a time, or 7d, 2h.")
@json_option
@at_place()
def list_runs(place: Place, limit: int, as_json: bool, **wanted: Any) -> None:
    """List the latest runs, newest first."""
    found = place.administration.page_of_runs(RunFilter(**wanted), limit=limit).items
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
    """
    Show the run RUN_ID: who ran it, and its audit events in order.

    With hand-offs, the runs before and after them are shown too, as one story.
    """
    story = place.administration.story_of(run_id)
    if not story.runs and not story.events:
        raise RefusedError(f"There is no run with the id {run_id!r}", status=404)
    slugs = place.administration.agent_slugs()
    if as_json:
        _show_document(story, slugs)
        return
    for run in story.runs:
        show_fields(_fields(run, slugs[run.agent_id]))
        click.echo()
    if story.packets:
        show_story(story, slugs)
        return
    rows = [entry(event) for event in story.events]
    show_table(("time", "kind", "tool", "verdict", "message"), rows, empty="The run has no events.")


@command.command("tail")
@click.option("--run", metavar="ID", help="Only this run.")
@click.option("--agent", metavar="SLUG", help="Only this agent's runs.")
@click.option("--kind", metavar="KIND", help="Only such events, e.g. tool.decision.")
@click.option("--verdict", type=click.Choice(["ALLOW", "BLOCK"]), help="Only decisions that say so.")
@click.option("--from-start", is_flag=True, help="Begin with the first event that there is, not with the next one.")
@click.option("--no-follow", is_flag=True, help="End where there are no more events for now.")
@click.option("--json", "as_json", is_flag=True, help="Print each event as JSON, one a line.")
@at_place()
def tail(place: Place, from_start: bool, no_follow: bool, as_json: bool, **wanted: Any) -> None:
    """Print events as they are recorded, until interrupted."""
    events, after = EventFilter(**wanted), None if from_start else place.administration.last_event()
    slugs = place.administration.agent_slugs()
    while True:
        page = place.administration.page_of_events(events, after=after)
        for each in page.items:
            if each.agent_id not in slugs:
                slugs = place.administration.agent_slugs()
            _show_live(each, slugs[each.agent_id], as_json=as_json)
        if page.next is None and no_follow:
            return
        after = page.next or page.last
        if page.next is None:
            Event().wait(_NAP)


def _show_document(story: Story, slugs: Mapping[str, str]) -> None:
    runs = [plain(run, agent=slugs[run.agent_id]) for run in story.runs]
    events = [event.read() for event in story.events]
    asked = [plain(each, agent=slugs[each.agent_id]) for each in story.approvals]
    show_document({"runs": runs, "events": events, "handoffs": story.packets, "approvals": asked})


def _show_live(event: StoredEvent, agent: str, *, as_json: bool) -> None:
    if as_json:
        # In ASCII, which no terminal takes for a command.
        click.echo(json.dumps(event.read()))
        return
    cells = (shown(each) for each in (*entry(event)[:1], agent, event.run_id, *entry(event)[1:]))
    click.echo("  ".join(cells))


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
