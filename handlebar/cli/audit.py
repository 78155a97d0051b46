"""Commands about the audit trail."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta, timezone
from itertools import chain
from pathlib import Path
from typing import IO, Literal

import click

from handlebar.cli.documents import plain, show_document
from handlebar.cli.endings import Unusable
from handlebar.cli.places import Place, at_place, json_option
from handlebar.cli.progress import followed
from handlebar.cli.texts import safe
from handlebar.cli.times import span
from handlebar.control.audit import RunReport, StoredEvent
from handlebar.errors import RefusedError

_COLUMNS = ("time", "kind", "agent", "agent_id", "run_id", "event", "hash")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""With what a cell begins that a spreadsheet would take for a formula."""


@click.group("audit")
def command() -> None:
    """Check, export and shorten the audit trail."""


@command.command("verify")
@click.argument("run_id", required=False)
@json_option
@at_place()
def verify(place: Place, run_id: str | None, as_json: bool) -> None:
    """Check that no event of any run, or of RUN_ID, was changed, removed or moved since it was recorded."""
    reports = list(place.administration.verify_chains(run_id))
    if run_id is not None and not reports:
        raise _unknown(run_id)
    slugs = place.administration.agent_slugs()
    broken = [each for each in reports if not each.chain.intact]
    if as_json:
        show_document([_document(each, slugs[each.agent_id]) for each in reports])
    else:
        for each in broken:
            click.echo(_complaint(each, slugs[each.agent_id]))
        events = sum(each.chain.length for each in reports)
        click.echo(f"Runs: {len(reports)}, events: {events}, broken chains: {len(broken) or 'none'}.")
    if broken:
        click.get_current_context().exit(1)


@command.command("export")
@click.option("--format", "form", type=click.Choice(("jsonl", "csv")), required=True, help="How to write events.")
@click.option("--run", "run_id", metavar="ID", help="Only the events of this run.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="Where to; not to stdout.")
@at_place()
def export(place: Place, form: Literal["jsonl", "csv"], run_id: str | None, output: Path | None) -> None:
    """
    Write all events, or those of one run, in the order in which they were recorded.

    JSONL has one event a line, as it was recorded; a terminal gets to see control characters as escapes. In CSV, a
    cell that a spreadsheet would take for a formula begins with an apostrophe.
    """
    with closing(place.administration.stored_events(run_id)) as events:
        # Before the file is opened: a database that cannot be read must not empty it.
        first = next(events, None)
        if first is None and run_id is not None:
            raise _unknown(run_id)
        every = events if first is None else chain([first], events)
        lines = _jsonl(every) if form == "jsonl" else _csv(every, place.administration.agent_slugs())
        with _opened(output) as file:
            if output is None and sys.stdout.isatty():
                lines = (safe(line.rstrip("\r\n")) + "\n" for line in lines)
            for line in followed(lines, title="Exporting", total=place.administration.number_of_events(run_id)):
                file.write(line.encode())


@command.command("retain")
@click.option("--older-than", "age", metavar="SPAN", required=True, callback=span, help="Such as 90d, or 36h.")
@click.option("--dry-run", is_flag=True, help="Delete nothing, only say how much would be.")
@json_option
@at_place()
def retain(place: Place, age: timedelta, dry_run: bool, as_json: bool) -> None:
    """
    Delete the events of runs that are older than SPAN: all of a run's events are, or none are deleted.

    What stays of a run is how many events it had and the hash of the last one, so that `audit verify` still checks
    what is kept, and what is recorded later. A run that `audit verify` complains of is not touched.
    """
    try:
        before = datetime.now(timezone.utc) - age
    except OverflowError:
        raise click.BadParameter("that is before all times", param_hint="--older-than") from None
    runs = events = 0
    for done in followed(place.administration.prune_events(before, dry=dry_run), title="Deleting"):
        runs, events = runs + done.runs, events + done.events
    if as_json:
        show_document({"before": before, "runs": runs, "events": events, "deleted": not dry_run})
    else:
        click.echo(f"Runs: {runs}, events: {events} {'would be' if dry_run else 'were'} deleted.")


def _unknown(run_id: str) -> RefusedError:
    return RefusedError(f"There is no run with the id {run_id!r}, or none with events", status=404)


def _document(report: RunReport, agent: str) -> dict[str, object]:
    return {"agent": agent, "agentId": report.agent_id, "runId": report.run_id, **plain(report.chain)}


def _complaint(report: RunReport, agent: str) -> str:
    whose = f"{safe(report.run_id)} of {safe(agent)}"
    return f"The run {whose} is broken: its event {report.chain.broken_at} (the first is 0) is not as it was recorded."


@contextmanager
def _opened(output: Path | None) -> Iterator[IO[bytes]]:
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        with output.open("wb") as file:
            yield file
    except OSError as error:
        raise Unusable(f"{safe(str(output))} cannot be written: {error.strerror}") from error


def _jsonl(events: Iterable[StoredEvent]) -> Iterator[str]:
    for event in events:
        # JSON has line breaks only between its parts, where a space means the same.
        yield event.body.replace("\r", " ").replace("\n", " ") + "\n"


def _csv(events: Iterable[StoredEvent], slugs: dict[str, str]) -> Iterator[str]:
    yield _row(_COLUMNS)
    for event in events:
        agent = slugs[event.agent_id]
        yield _row((event.ts, event.kind, agent, event.agent_id, event.run_id, event.body, event.hash))


def _row(cells: Iterable[str]) -> str:
    line = io.StringIO(newline="")
    csv.writer(line).writerow([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in cells])
    return line.getvalue()
