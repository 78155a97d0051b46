"""What every kind of database can do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from handlebar._plumbing.clock import Deadline

T = TypeVar("T")


class OpenedDatabase(Protocol):
    """
    What one process has open of a database; thread-safe.

    Attributes:
        file_number: Counts the databases that it has been: the one of that name may be replaced by another.
    """

    @property
    def file_number(self) -> int:
        """Return it."""
        ...

    def get_ready(self, deadline: Deadline) -> None:
        """See to it that the tables are there."""
        ...

    def upgrade(self, deadline: Deadline) -> None:
        """Make the tables, or bring them up to date."""
        ...

    def tables_version(self, deadline: Deadline) -> str | None:
        """Return the version of the tables as they are, and leave them so; None where there are none."""
        ...

    def read(self, deadline: Deadline) -> AbstractContextManager[Connection]:
        """Run a block in a transaction that only reads, and sees one state of the database."""
        ...

    def write(self, deadline: Deadline, agent_id: str | None) -> AbstractContextManager[Connection]:
        """Run a block in a transaction that nobody else's can come between, as `Database.write` says."""
        ...

    def commit(self, do: Callable[[Connection], T], deadline: Deadline, agent_id: str | None) -> T:
        """Return what *do* returns, as `Database.commit` says."""
        ...

    def number(self, query: str, deadline: Deadline) -> int:
        """Return the number that *query* asks for, as fast as can be."""
        ...

    def close(self) -> None:
        """Close all connections; later use opens new ones."""
        ...
