"""The command that serves the control plane over HTTP."""

from __future__ import annotations

import signal
from typing import NoReturn

import click

from handlebar.cli.endings import Unusable
from handlebar.cli.places import database_option, database_url
from handlebar.cli.texts import safe


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8700, show_default=True, help="The port to listen on.")
@click.option(
    "--policies", metavar="DIR", type=click.Path(exists=True), help="A folder or file of policies to put in force."
)
@click.option("--open", "show_link", is_flag=True, help="Print a link that logs in to the dashboard, once.")
@database_option
def command(database: str | None, host: str, port: int, policies: str | None, show_link: bool) -> None:
    """Serve the control plane over HTTP, until it is interrupted."""
    url = database_url(database)
    # Needs packages of its own.
    from handlebar.server import serve

    # As Ctrl-C does: requests that are under way are answered.
    signal.signal(signal.SIGTERM, _stopped)
    try:
        serve(url, host=host, port=port, policies=policies, show_link=show_link)
    except OSError as error:
        raise Unusable(f"The server cannot listen on port {port} of {safe(host)}: {error}") from error


def _stopped(number: int, frame: object) -> NoReturn:
    raise SystemExit(0)
