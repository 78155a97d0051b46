"""How a command ends that does not end well: one line on stderr, and an exit code."""

from __future__ import annotations

import click

from handlebar.cli.starting import CANNOT_BE_USED


class Refused(click.ClickException):
    """The answer is no."""

    exit_code = 1


class Misused(click.ClickException):
    """A value is not allowed."""

    exit_code = 2


class Unusable(click.ClickException):
    """What the command needs cannot be used."""

    exit_code = CANNOT_BE_USED
