"""Which kind of database a URL means."""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from handlebar.control.database.opened import OpenedDatabase
from handlebar.control.database.sqlite import SqliteDatabase
from handlebar.errors import ConfigError

ALLOWED = "sqlite:///file.db (three slashes), sqlite:// or postgresql+psycopg://user@host/name"


def opener_of(url: str, *, field: str) -> Callable[[], OpenedDatabase]:
    """
    Return what opens the database at *url*.

    Raises:
        ConfigError: *url* is no URL of one, or what it needs is not installed.
    """
    try:
        parsed = make_url(url)
    except SQLAlchemyError as error:
        raise _not_allowed(field, url) from error
    if _is_sqlite(parsed):
        return lambda: SqliteDatabase(parsed)
    if parsed.drivername == "postgresql+psycopg":
        return _opener_of_postgres(parsed, field)
    raise _not_allowed(field, url)


def is_in_this_process(url: str) -> bool:
    """Whether the database at *url*, one that can be opened, runs in this process, as SQLite does."""
    return _is_sqlite(make_url(url))


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite" and not url.host


def _opener_of_postgres(url: URL, field: str) -> Callable[[], OpenedDatabase]:
    try:
        # It takes a driver that not everybody has, and which is slow to import.
        from handlebar.control.database.postgres import PostgresDatabase
    except ImportError as error:
        needed = f'the extra for PostgreSQL: pip install "handlebar[postgres]" ({error})'
        raise ConfigError(field, url.render_as_string(), needed) from error
    return lambda: PostgresDatabase(url)


def _not_allowed(field: str, url: str) -> ConfigError:
    # Errors are logged and shown: a password is no part of them.
    return ConfigError(field, re.sub(r"//[^@/]*@", "//***@", url), ALLOWED)
