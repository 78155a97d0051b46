"""The command group `flask handlebar`."""

from __future__ import annotations

from collections.abc import Callable

import click
from flask.cli import AppGroup

from handlebar.core.client import HandlebarClient
from handlebar.integrations.serving import checking
from handlebar.integrations.serving.checking import Report


def commands(client: Callable[[], HandlebarClient]) -> AppGroup:
    """Return the group; *client* gives the client of the current app."""
    group = AppGroup("handlebar", help="Handlebar, which governs this app's agents.")
    as_json = click.option("--json", "as_json", is_flag=True, help="For programs.")

    @group.command("check")
    @as_json
    def check(as_json: bool) -> None:
        """Tell whether the control plane can be reached."""
        _tell(checking.check(client()), as_json)

    @group.command("send-test")
    @as_json
    def send_test(as_json: bool) -> None:
        """Send a run that does nothing."""
        _tell(checking.send_test(client()), as_json)

    return group


def _tell(report: Report, as_json: bool) -> None:
    click.echo(report.text(as_json=as_json))
    if not report.is_good:
        raise SystemExit(1)
