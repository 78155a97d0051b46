"""The command that finds out what keeps an agent here from being governed."""

from __future__ import annotations

import os
from collections.abc import Iterator

import click

from handlebar.cli.checks import Finding
from handlebar.cli.checks.database import database_findings
from handlebar.cli.checks.endpoint import endpoint_findings
from handlebar.cli.checks.process import process_findings
from handlebar.cli.checks.sinks import sink_findings
from handlebar.cli.documents import show_document
from handlebar.cli.endings import Misused
from handlebar.cli.places import json_option
from handlebar.cli.texts import safe

_MARKS = {"good": "ok  ", "doubtful": "look", "bad": "BAD ", "skipped": "-   "}


@click.command("doctor")
@click.option("--endpoint", metavar="URL", help="The control plane; else HANDLEBAR_API_ENDPOINT.")
@click.option(
    "--uwsgi", metavar="FILE", type=click.Path(exists=True, dir_okay=False), help="uWSGI's ini file to check."
)
@click.option("--events", metavar="FILE", help="The file that a JSONL sink writes to.")
@click.option("--timeout", type=click.FloatRange(min=0.1, max=60), default=5.0, show_default=True, help="Seconds.")
@json_option
def command(endpoint: str | None, uwsgi: str | None, events: str | None, timeout: float, as_json: bool) -> None:
    """
    Check endpoint, key, clock, database, sinks, and whether the host is safe to fork; say what to do.

    Run it where the agent runs, with the agent's environment. The key is HANDLEBAR_API_KEY. Exits with 1 where
    something is bad; what is only doubtful is shown and changes nothing.
    """
    url = endpoint or os.environ.get("HANDLEBAR_API_ENDPOINT", "")
    try:
        found = list(_findings(url, uwsgi, events, timeout))
    except UnicodeDecodeError as error:
        raise Misused(f"--uwsgi is no text file: {error.reason}") from error
    if as_json:
        show_document([each.document() for each in found])
    else:
        for each in found:
            click.echo(f"{_MARKS[each.state]} {each.about}: {safe(each.what)}")
            if each.advice:
                click.echo(f"       {safe(each.advice)}")
    if any(each.state == "bad" for each in found):
        click.get_current_context().exit(1)


def _findings(url: str, uwsgi: str | None, events: str | None, timeout: float) -> Iterator[Finding]:
    if url.startswith(("http://", "https://")):
        yield from endpoint_findings(url, os.environ.get("HANDLEBAR_API_KEY"), timeout)
    else:
        yield from database_findings(url, timeout)
    yield from sink_findings(events)
    yield from process_findings(uwsgi)
