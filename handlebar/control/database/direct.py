"""Statements of every decision and batch go straight to the driver: SQLAlchemy takes longer than they do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

from attrs import frozen
from sqlalchemy import Connection, Dialect, Insert, Table, insert
from sqlalchemy.sql.elements import ClauseElement


def rows(connection: Connection, statement: Any, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
    """Return what *statement* selects; of numbers and text only, as SQLite's driver gives them."""
    if connection.dialect.name != "sqlite":
        return connection.execute(statement, values).all()
    found: Sequence[Sequence[Any]] = _executed(connection, statement, values).fetchall()
    return found


def run(connection: Connection, statement: Any, values: Mapping[str, Any]) -> None:
    """Run a *statement* that returns nothing."""
    if connection.dialect.name != "sqlite":
        connection.execute(statement, values)
        return
    _executed(connection, statement, values)


def run_many(connection: Connection, statement: Any, values: Sequence[Mapping[str, Any]]) -> None:
    """Run a *statement* that returns nothing once for each of *values*, which have all the same names."""
    if connection.dialect.name != "sqlite":
        connection.execute(statement, list(values))
        return
    compiled = _compiled(statement, connection.dialect, tuple(values[0]))
    driver: Any = connection.connection.driver_connection
    driver.executemany(compiled.text, [compiled.taken(each) for each in values])


def insert_many(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert *rows*, which have all the same columns; on PostgreSQL by COPY."""
    if connection.dialect.name != "postgresql":
        run_many(connection, _insertion(table), rows)
        return
    names = tuple(rows[0])
    makers = [_maker(table.c[name].type, connection.dialect) for name in names]
    values = [tuple(made(row[name]) for made, name in zip(makers, names, strict=True)) for row in rows]
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f"COPY {table.name} ({', '.join(names)}) FROM STDIN") as copying:
        for each in values:
            copying.write_row(each)


@frozen
class _Compiled:
    """A statement as the driver takes it: each parameter by its place, made from a value or given already."""

    text: str
    parameters: tuple[tuple[str, Callable[[Any], Any], Any], ...]

    def taken(self, values: Mapping[str, Any]) -> list[Any]:
        """Return *values* as the driver takes them."""
        return [made(values.get(name, given)) for name, made, given in self.parameters]


def _executed(connection: Connection, statement: ClauseElement, values: Mapping[str, Any]) -> Any:
    compiled = _compiled(statement, connection.dialect, tuple(values))
    driver: Any = connection.connection.driver_connection
    return driver.execute(compiled.text, compiled.taken(values))


@lru_cache(maxsize=500)
def _compiled(statement: ClauseElement, dialect: Dialect, names: tuple[str, ...]) -> _Compiled:
    found: Any = statement.compile(dialect=dialect, column_keys=list(names))
    places = [(name, _maker(found.binds[name].type, dialect), found.params[name]) for name in found.positiontup]
    return _Compiled(str(found), tuple(places))


@cache
def _insertion(table: Table) -> Insert:
    """Return the same insert each time, so that it is compiled once."""
    return insert(table)


@lru_cache
def _maker(of: Any, dialect: Dialect) -> Callable[[Any], Any]:
    """Return what makes of a value what the database keeps."""
    return of.dialect_impl(dialect).bind_processor(dialect) or _as_it_is


def _as_it_is(value: Any) -> Any:
    return value
