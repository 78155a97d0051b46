"""What the kinds of databases do differently inside a transaction."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, text

_IN_ORDER = 0x68616E646C656261
"""The lock on numbers that have to be in order: any number that nobody else uses."""


def insert_or(dialect: str, table: Table) -> Any:
    """Return an insert for a database of that *dialect*, to be told what to do where the row is there already."""
    if dialect == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as postgres_insert  # loads much that SQLite has no use for

        return postgres_insert(table)
    from sqlalchemy.dialects.sqlite import insert as sqlite_insert

    return sqlite_insert(table)


def in_turn(query: Select[Any]) -> ColumnElement[bool]:
    """
    Return whether *query*, about a row of another query, finds something.

    It is asked for row after row, so that a page that an index has in order ends where it is full. Without the offset
    PostgreSQL would join the tables first, and sort all that comes of it.
    """
    return query.offset(0).exists()


def number_in_order(connection: Connection) -> None:
    """
    Let the rows that this transaction will number be seen before those with greater numbers.

    For tables that are read from a number on, and written by transactions that run at the same time.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _IN_ORDER})
