"""Checks of an embedded control plane: its database."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from sqlalchemy.engine import make_url

from handlebar._plumbing.clock import Deadline
from handlebar.cli.checks.finding import Finding
from handlebar.control.database import Database
from handlebar.control.migrating import HEAD
from handlebar.errors import ConfigError, UnreachableError

_DEFAULT = "sqlite:///handlebar.db"


def database_findings(url: str, timeout: float) -> Iterator[Finding]:
    """Yield what is found of the database at *url*, or of the one that is used without any."""
    if not url:
        yield Finding(
            "endpoint",
            "doubtful",
            "HANDLEBAR_API_ENDPOINT is not set",
            "Without it, and without policies= in the config, a client is inactive: every call gets the stock answer.",
        )
    try:
        database = Database(url or _DEFAULT)
    except ConfigError as error:
        # Without the URL: it may hold a password.
        yield Finding("database", "bad", "the URL is none that can be used", f"Expected {error.allowed}.")
        return
    with closing(database):
        yield from _of_file(url or _DEFAULT)
        yield _of_tables(url or _DEFAULT, database, timeout)


def _of_file(url: str) -> Iterator[Finding]:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        return
    folder = Path(str(parsed.database)).absolute().parent
    if not os.access(folder, os.W_OK):
        advice = "SQLite writes beside the file: make its folder writable for the user that the agent runs as."
        yield Finding("database", "bad", f"{folder} cannot be written", advice)


def _of_tables(url: str, database: Database, timeout: float) -> Finding:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(str(parsed.database or ":memory:")).exists():
        return Finding("database", "skipped", "there is no file yet; the first client makes it")
    try:
        found = database.tables_version(Deadline.after(timeout))
    except UnreachableError as error:
        return Finding("database", "bad", str(error), "Check that it is running, and that the URL is right.")
    if found != HEAD:
        return Finding("database", "bad", f"its tables are at version {found}", "Run `handlebar db upgrade`.")
    return Finding("database", "good", f"it answers, and its tables are at version {found}")
