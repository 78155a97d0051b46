"""Commands about API keys."""

from __future__ import annotations

from typing import get_args

import click

from handlebar.cli.documents import plain, show_document
from handlebar.cli.places import Place, at_place, json_option
from handlebar.cli.texts import safe, show_table, shown
from handlebar.control.keys import Role


@click.group("keys")
def command() -> None:
    """Make, list and revoke API keys."""


@command.command("create")
@click.argument("name")
@click.option("--role", required=True, type=click.Choice(get_args(Role)), help="What it may do.")
@json_option
@at_place(creates=True)
def create(place: Place, name: str, role: Role, as_json: bool) -> None:
    """Make a key, called NAME, and print it: it is shown this once, and kept nowhere."""
    made = place.keys.create(name, role=role, tenant=place.tenant)
    if as_json:
        show_document({**plain(made.record), "secret": made.secret})
        return
    click.echo(f"The {role} key {made.record.id} is shown this once, and kept nowhere:", err=True)
    click.echo(made.secret)


@command.command("list")
@json_option
@at_place()
def list_keys(place: Place, as_json: bool) -> None:
    """List the tenant's keys, oldest first; revoked ones too."""
    found = place.keys.listed(place.tenant)
    if as_json:
        show_document(found)
        return
    rows = [(key.id, key.name, key.role, key.created_at, key.revoked_at) for key in found]
    show_table(("id", "name", "role", "created", "revoked"), rows, empty="There are no keys.")


@command.command("revoke")
@click.argument("key_id", metavar="ID")
@json_option
@at_place()
def revoke(place: Place, key_id: str, as_json: bool) -> None:
    """Let the key ID be good for nothing from now on."""
    key = place.keys.revoke(key_id, tenant=place.tenant)
    if as_json:
        show_document(key)
    else:
        click.echo(f"The key {key.id} ({safe(key.name)}) is revoked since {shown(key.revoked_at)}.")
