"""The command that decides recorded calls again: `policy replay`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from handlebar.cli.documents import show_document
from handlebar.cli.endings import Unusable
from handlebar.cli.places import Place, database_option, json_option, opened_place, tenant_option
from handlebar.cli.progress import followed
from handlebar.cli.texts import safe, show_table
from handlebar.cli.times import past_moment
from handlebar.core.schema.agents import AgentDescriptor
from handlebar.errors import RefusedError
from handlebar.policy.loading import load_policies
from handlebar.policy.replaying import CallReader, RecordedCall, Replay, Replayed, Summary
from handlebar.policy.replaying.recorded import KINDS

Events = Iterable[tuple[str, str]]
"""Agents, by whatever name there is, and the events that they have sent, as JSON."""


@click.command("replay")
@click.option(
    "--policies",
    "paths",
    metavar="PATH",
    multiple=True,
    required=True,
    type=click.Path(exists=True),
    help="The policies to decide by. May be repeated.",
)
@click.option("--run", "run_id", metavar="ID", help="Only this run; limits that look beyond a run see no other.")
@click.option("--since", metavar="TIME", callback=past_moment, help="Report only calls since then: a time, or 7d, 2h.")
@click.option(
    "--events",
    "file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A JSONL export to read, in place of the database.",
)
@click.option("--agent", metavar="SLUG", help="Whose calls are in FILE.")
@click.option("--agent-tag", "agent_tags", metavar="TAG", multiple=True, help="A tag of that agent. May be repeated.")
@click.option("--limit", type=click.IntRange(min=0), default=20, show_default=True, help="Show so many changed calls.")
@tenant_option
@database_option
@json_option
def replay(
    paths: tuple[str, ...],
    run_id: str | None,
    since: datetime | None,
    file: Path | None,
    agent: str | None,
    agent_tags: tuple[str, ...],
    limit: int,
    database: str | None,
    tenant: str,
    as_json: bool,
) -> None:
    """
    Decide recorded calls again under other policies, and show what would have changed.

    Calls are taken from the audit trail in the database, or in a JSONL export (--events). Each is decided with the
    past that the new policies would have made. What the record does not hold (signals, custom functions, the run's
    tags) is taken for missing, and such calls are counted as doubtful.
    """
    policies = load_policies(list(paths))
    if file is not None and agent is None and any(_selects(each.agent_selector) for each in policies):
        raise click.UsageError(
            "Some of the policies are for certain agents: say with --agent SLUG whose calls they are"
        )
    summary, shown = Summary(), list[Replayed]()
    stated = AgentDescriptor(agent or "agent", tags=agent_tags)
    with _source(file, stated, database, tenant, run_id) as (events, agent_of, total):
        deciding = Replay(policies, agent_of)
        for call in _calls(followed(events, title="Replaying", total=total), run_id):
            again = deciding.decide(call)
            if again is None or (since is not None and call.at < since):
                summary.passed_over += again is None
                continue
            summary.add(again)
            if again.changed and len(shown) < limit:
                shown.append(again)
    if run_id is not None and not summary.calls:
        raise RefusedError(f"There is no run with the id {run_id!r}, or none with calls", status=404)
    _show(summary, shown, as_json=as_json)


def _selects(selector: Any) -> bool:
    return any((selector.any_of_slugs, selector.any_of_tags, selector.all_of_tags))


@contextmanager
def _source(
    file: Path | None, stated: AgentDescriptor, database: str | None, tenant: str, run_id: str | None
) -> Iterator[tuple[Events, Callable[[str], AgentDescriptor], int | None]]:
    """Open where the events are; yield them, what tells their agents, and how many there are about."""
    if file is not None:
        with _opened(file) as lines:
            yield (("", line) for line in lines), lambda name: stated, None
        return
    with opened_place(database, tenant) as place:
        agents = {each.id: each.described for each in place.administration.agents()}
        with closing(place.administration.stored_events(run_id, kinds=KINDS)) as events:
            yield ((each.agent_id, each.body) for each in events), agents.__getitem__, _total(place, run_id)


def _total(place: Place, run_id: str | None) -> int:
    return place.administration.number_of_events(run_id)


@contextmanager
def _opened(file: Path) -> Iterator[Iterable[str]]:
    try:
        with file.open(encoding="utf-8", errors="replace", newline="\n") as lines:
            yield lines
    except OSError as error:
        raise Unusable(f"{safe(str(file))} cannot be read: {error.strerror}") from error


def _calls(events: Events, run_id: str | None) -> Iterator[RecordedCall]:
    reader = CallReader()
    for agent, text in events:
        try:
            event = json.loads(text)
        except (ValueError, RecursionError):  # a line that was cut off, or changed
            continue
        if run_id is None or (isinstance(event, dict) and event.get("runId") == run_id):
            yield from reader.calls_of(agent, event)
    yield from reader.rest()


def _show(summary: Summary, shown: list[Replayed], *, as_json: bool) -> None:
    changes = [
        {"before": before, "after": after, "tool": tool, "ruleId": rule, "calls": number}
        for (before, after, tool, rule), number in summary.changes.most_common()
    ]
    if as_json:
        counts = {name: getattr(summary, name) for name in ("calls", "changed", "doubtful")}
        document = {**counts, "passedOver": summary.passed_over, "changes": changes}
        show_document({**document, "changedCalls": [_document(each) for each in shown]})
        return
    click.echo(
        f"Calls: {summary.calls:,} decided again, {summary.changed:,} would change; "
        f"{summary.doubtful:,} doubtful, {summary.passed_over:,} under a lockdown."
    )
    if changes:
        click.echo()
        rows = [
            (f"{each['before']} -> {each['after']}", each["calls"], each["tool"], each["ruleId"]) for each in changes
        ]
        show_table(("change", "calls", "tool", "rule"), rows, empty="")
    if shown:
        click.echo()
        calls = [
            (
                each.call.at,
                each.call.run_id,
                each.call.tool_name,
                f"{each.call.effect} -> {each.outcome.effect}",
                _arguments(each),
            )
            for each in shown
        ]
        show_table(("time", "run", "tool", "change", "arguments"), calls, empty="")


def _document(replayed: Replayed) -> dict[str, Any]:
    call, final = replayed.call, replayed.outcome.final_rule
    return {
        "runId": call.run_id,
        "ts": call.at,
        "phase": call.phase,
        "tool": call.tool_name,
        "args": call.args,
        "before": {"effect": call.effect, "ruleId": call.rule_id},
        "after": {"effect": replayed.outcome.effect, "ruleId": final.id if final else None},
        "doubts": list(replayed.doubts),
    }


def _arguments(replayed: Replayed) -> str:
    return json.dumps(replayed.call.args, ensure_ascii=False)[:120]
