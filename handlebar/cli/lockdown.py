"""Commands about lockdowns."""

from __future__ import annotations

from datetime import datetime, timezone

import click

from handlebar.cli.documents import plain, show_document
from handlebar.cli.places import Command, Place, at_place, json_option
from handlebar.cli.texts import safe, show_table, shown
from handlebar.cli.times import moment_in, span_in
from handlebar.control.presence import LockdownStanding, SeenProcess


def _read_time(context: click.Context, option: click.Parameter, text: str | None) -> datetime | None:
    """Read a time to come in ISO 8601, with its time zone."""
    if text is None:
        return None
    read = moment_in(text)
    if read <= datetime.now(timezone.utc):
        raise click.BadParameter(f"{text!r} is over already")
    return read


def _read_span(context: click.Context, option: click.Parameter, text: str | None) -> datetime | None:
    """Read a span of time; return the time when it ends, counted from now."""
    if text is None:
        return None
    try:
        return datetime.now(timezone.utc) + span_in(text)
    except OverflowError:
        raise click.BadParameter(f"{text!r} ends after all times") from None


def _about(command: Command) -> Command:
    """Give a command the options that say what of the agent is meant."""
    command = click.option("--tool", metavar="NAME", help="Only this tool.")(command)
    return click.option("--actor", metavar="ID", help="Only where the agent acts for this actor.")(command)


@click.group("lockdown")
def command() -> None:
    """Forbid an agent everything, at once."""


@command.command("set")
@click.argument("agent")
@click.option("--reason", required=True, help="Why, for people and models.")
@click.option("--until", metavar="ISO", callback=_read_time, help="When it ends by itself, such as 2026-07-01T18:00Z.")
@click.option("--for", "ends", metavar="SPAN", callback=_read_span, help="How long it lasts, such as 30m, 2h or 1d12h.")
@_about
@json_option
@at_place()
def set_lockdown(
    place: Place,
    agent: str,
    reason: str,
    until: datetime | None,
    ends: datetime | None,
    actor: str | None,
    tool: str | None,
    as_json: bool,
) -> None:
    """Forbid AGENT (its slug) everything from its next decision on, in every process."""
    if until is not None and ends is not None:
        raise click.UsageError("Give --until or --for, not both")
    made = place.administration.lock_down(agent, reason, until=until or ends, actor=actor, tool=tool)
    if as_json:
        show_document(plain(made, agent=agent))
    else:
        end = "until it is lifted" if made.until is None else f"until {shown(made.until)}"
        click.echo(f"{safe(agent)} is locked down {end}.")


@command.command("lift")
@click.argument("agent")
@_about
@json_option
@at_place()
def lift_lockdown(place: Place, agent: str, actor: str | None, tool: str | None, as_json: bool) -> None:
    """Lift what was set for AGENT with the same --actor and --tool."""
    lifted = place.administration.lift_lockdown(agent, actor=actor, tool=tool)
    if as_json:
        show_document({"lifted": lifted})
    else:
        click.echo(f"{lifted} lifted.")
    if not lifted:
        click.echo("There was none like that: see `handlebar lockdown list`.", err=True)
        click.get_current_context().exit(1)


@command.command("list")
@json_option
@at_place()
def list_lockdowns(place: Place, as_json: bool) -> None:
    """List the lockdowns in force."""
    found = place.administration.lockdowns()
    slugs = place.administration.agent_slugs()
    if as_json:
        show_document([plain(each, agent=slugs[each.agent_id]) for each in found])
        return
    rows = [
        (slugs[each.agent_id], each.actor_id, each.tool_name, each.since, each.until, each.reason) for each in found
    ]
    show_table(("agent", "actor", "tool", "since", "until", "reason"), rows, empty="Nothing is locked down.")


@command.command("status")
@click.argument("agent", required=False)
@json_option
@at_place()
def show_status(place: Place, agent: str | None, as_json: bool) -> None:
    """
    Show which processes have confirmed the lockdowns in force, of AGENT (its slug) or of all.

    Those that are asked are the ones that use the control plane over HTTP and were seen in the last three minutes.
    """
    found = place.administration.lockdown_standings(agent)
    slugs = place.administration.agent_slugs()
    if as_json:
        show_document([plain(each, agent=slugs[each.lockdown.agent_id]) for each in found])
    elif not found:
        click.echo("Nothing is locked down.", err=True)
    for each in () if as_json else found:
        _show_standing(each, slugs[each.lockdown.agent_id])


def _show_standing(standing: LockdownStanding, agent: str) -> None:
    locked = standing.lockdown
    parts = [("actor", locked.actor_id), ("tool", locked.tool_name)]
    scope = "".join(f", {what} {safe(name)}" for what, name in parts if name is not None)
    click.echo(f"{safe(agent)}{scope}: {safe(locked.reason)}")
    rows = [(each.process, each.host, answer, each.at) for answer, each in _answers(standing)]
    show_table(("process", "host", "confirmed", "when"), rows, empty="No process was seen over HTTP.")


def _answers(standing: LockdownStanding) -> list[tuple[str, SeenProcess]]:
    return [*(("yes", each) for each in standing.confirmed), *(("no", each) for each in standing.unconfirmed)]
