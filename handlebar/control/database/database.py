"""The database of the control plane: transactions with a time limit, in each process its own connections."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeVar

from sqlalchemy import Connection

from handlebar._plumbing.clock import Deadline
from handlebar._plumbing.forking import PerProcess
from handlebar.control.database.opened import OpenedDatabase
from handlebar.control.database.urls import opener_of

T = TypeVar("T")


class Database:
    """
    A SQLite or PostgreSQL database; lives as long as its control plane.

    Thread-safe and fork-safe. Opens nothing before it is used. SQLite's tables are brought up to date then;
    PostgreSQL's have to be so already. What goes wrong in it is raised as `UnreachableError` with reason `database`,
    and the next call tries anew.

    Args:
        url: `sqlite:///file.db`, `sqlite://` for one in memory, which each process has to itself, or
            `postgresql+psycopg://user@host/name`.

        field: What the one who gives the URL calls it.

    Raises:
        ConfigError: *url* is no such URL, or what it needs is not installed.
    """

    def __init__(self, url: str, *, field: str = "database") -> None:
        open_one = opener_of(url, field=field)
        # A child of a fork must not close its parent's connections, so it keeps them, unused.
        self._kept: list[OpenedDatabase] = []
        self._process: PerProcess[OpenedDatabase] = PerProcess(lambda: self._opened(open_one))

    def read(self, deadline: Deadline) -> AbstractContextManager[Connection]:
        """Run a block in a transaction that only reads, and sees one state of the database."""
        return self._get_ready(deadline).read(deadline)

    def write(self, deadline: Deadline, *, agent_id: str | None = None) -> AbstractContextManager[Connection]:
        """
        Run a block in a transaction that nobody else's can come between.

        Args:
            deadline: When it has to be over.

            agent_id: The one agent about whom the block reads what may change, and writes; where the database can do
                that, blocks about other agents then run at the same time.
        """
        return self._get_ready(deadline).write(deadline, agent_id)

    def commit(self, do: Callable[[Connection], T], deadline: Deadline, *, agent_id: str | None = None) -> T:
        """
        Return what *do* returns, called in a transaction as `write` has it; what has been done then is committed.

        Others may be served by the same transaction, where that is cheaper, and the thread may be another's. What *do*
        raises undoes what it has done, and nothing else.
        """
        return self._get_ready(deadline).commit(do, deadline, agent_id)

    def quick_number(self, query: str, deadline: Deadline) -> int:
        """Return the number that *query* asks for, mostly at the cost of microseconds."""
        return self._get_ready(deadline).number(query, deadline)

    def state(self, query: str, deadline: Deadline) -> tuple[int, int]:
        """Return, of the same moment, the `file_number` and the number that *query* asks for."""
        opened = self._get_ready(deadline)
        return opened.file_number, opened.number(query, deadline)

    def file_number(self, deadline: Deadline) -> int:
        """Return a number that differs when the database has been replaced by another since."""
        return self._get_ready(deadline).file_number

    def tables_version(self, deadline: Deadline) -> str | None:
        """Return the version of the tables as they are, and leave them so; None where there are none."""
        return self._process.get().tables_version(deadline)

    def upgrade(self, deadline: Deadline) -> None:
        """Make the tables, or bring them up to date."""
        self._process.get().upgrade(deadline)

    def close(self) -> None:
        """Close this process's connections; later use opens new ones."""
        process = self._process.peek()
        if process is not None:
            process.close()

    def _opened(self, open_one: Callable[[], OpenedDatabase]) -> OpenedDatabase:
        process = open_one()
        self._kept.append(process)
        return process

    def _get_ready(self, deadline: Deadline) -> OpenedDatabase:
        process = self._process.get()
        process.get_ready(deadline)
        return process
