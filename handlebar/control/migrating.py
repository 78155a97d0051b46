"""Brings a database's tables up to date."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

HEAD = "0001"
"""The newest version of the tables."""


def is_current(connection: Connection) -> bool:
    """Whether the tables are those that this version of the package works with."""
    if not inspect(connection).has_table("alembic_version"):
        return False
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == HEAD


def migrate(connection: Connection) -> None:
    """Bring the tables up to date, inside the transaction of *connection*."""
    # Slow to import, and needed once in a database's life.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
