"""Brings a database's tables up to date."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from handlebar.errors import UnreachableError

HEAD = "0001"
"""The newest version of the tables."""


def is_current(connection: Connection) -> bool:
    """Whether the tables are those that this version of the package works with."""
    return version(connection) == HEAD


def version(connection: Connection) -> str | None:
    """Return the version of the tables as they are; None where there are none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def migrate(connection: Connection) -> None:
    """
    Bring the tables up to date, inside the transaction of *connection*.

    Raises:
        UnreachableError: They are those of a newer version of the package.
    """
    # Slow to import, and needed once in a database's life.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        message = f"The tables are those of another version of the package, perhaps a newer one: {error}"
        raise UnreachableError(message, reason="database") from error
