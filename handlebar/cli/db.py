"""Commands about the database's tables."""

from __future__ import annotations

import click

from handlebar._plumbing.clock import Deadline
from handlebar.cli.documents import show_document
from handlebar.cli.places import Place, at_place, json_option
from handlebar.cli.texts import safe
from handlebar.control.migrating import HEAD

_SECONDS = 60.0


@click.group("db")
def command() -> None:
    """Bring the database's tables up to date."""


@command.command("upgrade")
@json_option
@at_place(creates=True)
def upgrade(place: Place, as_json: bool) -> None:
    """Make the tables, or bring them up to date; those of SQLite are so at every use."""
    place.database.upgrade(Deadline.after(_SECONDS))
    _show(HEAD, as_json=as_json)


@command.command("version")
@json_option
@at_place()
def version(place: Place, as_json: bool) -> None:
    """Print the version of the tables; exit with 1 where it is not the one that this package works with."""
    found = place.database.tables_version(Deadline.after(_SECONDS))
    _show(found, as_json=as_json)
    if found != HEAD:
        click.get_current_context().exit(1)


def _show(found: str | None, *, as_json: bool) -> None:
    if as_json:
        show_document({"version": found, "newest": HEAD, "current": found == HEAD})
    else:
        click.echo(f"The tables are at version {safe(found or 'none')}{_advice(found)}")


def _advice(found: str | None) -> str:
    if found == HEAD:
        return ", which is the newest."
    if found is None or found < HEAD:
        return f"; the newest is {HEAD}: run `handlebar db upgrade`."
    return f"; the newest that this package knows is {HEAD}: use a newer package."
