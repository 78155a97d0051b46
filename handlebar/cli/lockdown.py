"""Commands about lockdowns."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

import click

from handlebar.cli.documents import plain, show_document
from handlebar.cli.places import Command, Place, at_place, json_option
from handlebar.cli.texts import safe, show_table, shown

_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_SPAN = re.compile(r"(?:[0-9]{1,9}[dhms])+")


def _read_time(context: click.Context, option: click.Parameter, text: str | None) -> datetime | None:
    """Read a time to come in ISO 8601, with its time zone."""
    if text is None:
        return None
    try:
        # Python 3.10 knows no Z.
        read = datetime.fromisoformat(re.sub("[zZ]$", "+00:00", text))
    except ValueError:
        raise click.BadParameter(f"{text!r} is no time in ISO 8601, such as 2026-07-01T18:00Z") from None
    if read.tzinfo is None:
        raise click.BadParameter(f"{text!r} has no time zone; add Z, or one such as +02:00")
    if read <= datetime.now(timezone.utc):
        raise click.BadParameter(f"{text!r} is over already")
    return read


def _read_span(context: click.Context, option: click.Parameter, text: str | None) -> datetime | None:
    """Read a span of time; return the time when it ends, counted from now."""
    if text is None:
        return None
    parts = re.findall("([0-9]+)([dhms])", text) if _SPAN.fullmatch(text) else []
    try:
        span = sum((timedelta(**{_UNITS[unit]: int(number)}) for number, unit in parts), timedelta())
        end = datetime.now(timezone.utc) + span
    except OverflowError:
        span = timedelta()
    if not span:
        raise click.BadParameter(f"{text!r} is no span of time, such as 30m, 2h or 1d12h")
    return end


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
