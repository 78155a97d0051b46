"""The command that serves the control plane over HTTP."""

from __future__ import annotations

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
@database_option
def command(database: str | None, host: str, port: int, policies: str | None) -> None:
    """Serve the control plane over HTTP, until it is interrupted."""
    url = database_url(database)
    # Needs packages of its own.
    from handlebar.server import serve

    try:
        serve(url, host=host, port=port, policies=policies)
    except OSError as error:
        raise Unusable(f"The server cannot listen on port {port} of {safe(host)}: {error}") from error
