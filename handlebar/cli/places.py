"""The database that a command works on, and the options that name it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import click
from attrs import frozen
from sqlalchemy.engine import make_url

from handlebar.control.administration import Administration
from handlebar.control.database import Database
from handlebar.control.keys import KeyRing
from handlebar.errors import ConfigError, UnreachableError

Command = Callable[..., None]

_DEFAULT = "sqlite:///handlebar.db"


@frozen
class Place:
    """Where a command works; lives as long as the command."""

    database: Database
    tenant: str

    @property
    def administration(self) -> Administration:
        """What people do with the tenant's things."""
        return Administration(self.database, self.tenant)

    @property
    def keys(self) -> KeyRing:
        """The keys of all tenants."""
        return KeyRing(self.database)


def at_place(*, creates: bool = False) -> Callable[[Command], Command]:
    """Give a command the options that name its place, and the place; where it *creates*, the file may be missing."""

    def decorate(command: Command) -> Command:
        @tenant_option
        @database_option
        @wraps(command)
        def placed(database: str | None, tenant: str, **options: Any) -> None:
            with opened_place(database, tenant, creates=creates) as place:
                command(place, **options)

        return placed

    return decorate


@contextmanager
def opened_place(database: str | None, tenant: str, *, creates: bool = False) -> Iterator[Place]:
    """Open the *database* that is meant; where it is not to be made, it has to be there."""
    with _opened(database_url(database), creates=creates) as opened:
        yield Place(opened, tenant)


tenant_option = click.option("--tenant", default="default", show_default=True, help="Whose things are meant.")
"""The option that says whose things are meant."""

database_option = click.option(
    "--database",
    metavar="URL",
    help="The database: sqlite:///file.db or postgresql+psycopg://user@host/name.",
    envvar="HANDLEBAR_DATABASE",
)
"""The option that names the database; `database_url` says what it means where it is not given."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document, and nothing else.")
"""The option that asks for JSON."""


def database_url(given: str | None) -> str:
    """Return the URL of the database that is meant."""
    endpoint = os.environ.get("HANDLEBAR_API_ENDPOINT", "")
    url = given or (endpoint if endpoint.startswith(("sqlite:", "postgresql+psycopg:")) else _DEFAULT)
    try:
        Database(url)  # checks the URL, and opens nothing
    except ConfigError as error:
        # Without the URL: it may hold a password.
        raise click.BadParameter(f"expected {error.allowed}", param_hint="--database") from None
    return url


@contextmanager
def _opened(url: str, *, creates: bool) -> Iterator[Database]:
    if not creates:
        _check_exists(url)
    with closing(Database(url)) as database:
        yield database


def _check_exists(url: str) -> None:
    """Refuse to look into a database that would be made by looking."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return
    file = parsed.database
    if file in (None, "", ":memory:"):
        raise click.BadParameter("a database in memory holds nothing yet; name a file", param_hint="--database")
    if not Path(str(file)).exists():
        raise UnreachableError(f"There is no database at {url}; name another with --database", reason="database")
