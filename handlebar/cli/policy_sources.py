"""Which policies a command is about: those in files, or those in force in the database."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from handlebar.cli.places import Command, Place, database_option, opened_place, tenant_option
from handlebar.core.schema.rules import Policy
from handlebar.policy.loading import load_policies

Policies = Callable[[], tuple[Policy, ...]]


def with_policies(command: Command) -> Command:
    """Give a command the option that names files of policies, and those that name the database for where it is not."""

    @click.option(
        "--policies",
        "paths",
        metavar="PATH",
        multiple=True,
        type=click.Path(exists=True),
        help="Files or folders of policies; those in force in the database, where none is named. May be repeated.",
    )
    @tenant_option
    @database_option
    @wraps(command)
    def given(database: str | None, tenant: str, paths: tuple[str, ...], **options: Any) -> None:
        command(policies=lambda: _meant(paths, database, tenant), **options)

    return given


def _meant(paths: tuple[str, ...], database: str | None, tenant: str) -> tuple[Policy, ...]:
    if paths:
        return load_policies(list(paths))
    with opened_place(database, tenant) as place:
        return in_force(place)


def in_force(place: Place) -> tuple[Policy, ...]:
    """Return the policies that decide in a database."""
    return tuple(place.administration.policies())
