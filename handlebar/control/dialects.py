"""What the kinds of databases do differently inside a transaction."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Executable, Select, Table, case, text

_IN_ORDER = 0x68616E646C656261
"""The lock on numbers that have to be in order: any number that nobody else uses."""


def insert_or(dialect: str, table: Table) -> Any:
    """Return an insert for a database of that *dialect*, to be told what to do where the row is there already."""
    if dialect == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as postgres_insert  # loads much that SQLite has no use for

        return postgres_insert(table)
    from sqlalchemy.dialects.sqlite import insert as sqlite_insert

    return sqlite_insert(table)


@cache
def insert_or_merge(
    dialect: str, table: Table, sums: tuple[str, ...], *, most: tuple[str, ...] = (), least: tuple[str, ...] = ()
) -> Executable:
    """
    Return an insert for a database of that *dialect*, which adds to the row where one of that key is there already.

    Built once: that takes longer than to run it.

    Args:
        dialect: `sqlite` or `postgresql`.

        table: Its key tells which row it is.

        sums: Columns to which the new value is added.

        most: Columns that keep the greater value.

        least: Columns that keep the lesser value.
    """
    row, had = insert_or(dialect, table), table.c
    new = row.excluded
    merged = {name: had[name] + new[name] for name in sums}
    merged |= {name: case((new[name] > had[name], new[name]), else_=had[name]) for name in most}
    merged |= {name: case((new[name] < had[name], new[name]), else_=had[name]) for name in least}
    merging: Executable = row.on_conflict_do_update(index_elements=list(table.primary_key), set_=merged)
    return merging


def unindexed(column: Column[str]) -> ColumnElement[str]:
    """Return *column* as an expression, for which no index is taken: one through which far more would be read."""
    return column.concat("")


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
