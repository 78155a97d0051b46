"""A SQLite database as one process has it open."""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.pool import QueuePool, StaticPool

from handlebar._plumbing.clock import Deadline
from handlebar._plumbing.forking import ForkGate
from handlebar.control.database.lookouts import Lookouts
from handlebar.control.database.sharing import SharedTransactions
from handlebar.control.database.spares import Spares
from handlebar.control.database.trouble import BUSY, reported, unusable
from handlebar.control.migrating import is_current, migrate, version

T = TypeVar("T")

_MOST_CONNECTIONS = 64


class SqliteDatabase:
    """
    Implements `OpenedDatabase` on a file, or in memory.

    One write at a time; the tables are brought up to date by whoever comes first.
    """

    def __init__(self, url: URL) -> None:
        self._file = url.database or ":memory:"
        self._in_memory = self._file == ":memory:"
        self.engine = _engine(url, in_memory=self._in_memory)
        # SQLite lets one write at a time, and its own way to wait for a turn is to sleep.
        self._writing = threading.Lock()
        self._shared = SharedTransactions(self.write)
        self._ready = False
        self.file_number = 0
        self._identity: tuple[int, int] | None = None
        self._lookouts = Lookouts(self._file)
        # SQLAlchemy's own pool takes a tenth of a decision's time to lend a connection.
        self._connections = Spares(self.engine.connect, Connection.close)
        # Of whoever is given a URL only, such as a dashboard in somebody's app, nobody can close the database.
        weakref.finalize(self, _close, self._lookouts, self._connections, self.engine)
        # SQLite notes which locks its process holds; a child would inherit the notes, and not the locks.
        self._gate = ForkGate(self.close)

    def get_ready(self, deadline: Deadline) -> None:
        """Bring the tables up to date, as `OpenedDatabase` says, where it is another file than before."""
        if self._ready and self._is_another_file():
            self._ready = False
            self.close()
        if not self._ready:
            self._use_wal(deadline)
            self._bring_up_to_date(deadline)
            self._note_file()

    def upgrade(self, deadline: Deadline) -> None:
        """Bring the tables up to date, as every use does."""
        self.get_ready(deadline)

    def tables_version(self, deadline: Deadline) -> str | None:
        """Tell, as `OpenedDatabase` says."""
        with self._begun(deadline, "BEGIN") as connection:
            return version(connection)

    @contextmanager
    def read(self, deadline: Deadline) -> Iterator[Connection]:
        """Read, as `OpenedDatabase` says."""
        # In memory there is one connection, which the threads have to share.
        if self._in_memory:
            with self.write(deadline) as connection:
                yield connection
            return
        with self._begun(deadline, "BEGIN") as connection:
            yield connection

    @contextmanager
    def write(self, deadline: Deadline, agent_id: str | None = None) -> Iterator[Connection]:
        """Write, as `OpenedDatabase` says; one at a time, whomever it is about."""
        if not self._writing.acquire(timeout=deadline.remaining()):
            raise unusable(BUSY)
        try:
            with self._begun(deadline, "BEGIN IMMEDIATE") as connection:
                yield connection
        finally:
            self._writing.release()

    def commit(self, do: Callable[[Connection], T], deadline: Deadline, agent_id: str | None) -> T:
        """Commit, as `OpenedDatabase` says; those who have to wait for each other share a transaction."""
        return self._shared.run(do, deadline)

    def number(self, query: str, deadline: Deadline) -> int:
        """Ask, as `OpenedDatabase` says; outside any transaction, where that can be had at once."""
        with reported:
            number = self._look(query)
        if number is not None:
            return number
        with self.read(deadline) as connection:
            return int(connection.exec_driver_sql(query).scalar_one())

    def close(self) -> None:
        """Close all connections; but what is in memory would be gone."""
        if self._in_memory:
            return
        _close(self._lookouts, self._connections, self.engine)

    def _look(self, query: str) -> int | None:
        if self._in_memory:
            return None
        try:
            with self._gate:
                return self._lookouts.number(query)
        except sqlite3.OperationalError:
            return None

    def _note_file(self) -> None:
        """Take note which file it is that is open."""
        self._identity = None if self._in_memory else _identity(self._file)
        self.file_number += 1
        self._ready = True

    def _is_another_file(self) -> bool:
        """Whether the file that is open is not the one that has its name now: it was deleted, or replaced."""
        return not self._in_memory and _identity(self._file) != self._identity

    def _bring_up_to_date(self, deadline: Deadline) -> None:
        """Migrate, where that is needed: who only reads must not have to wait for those who write."""
        if not self._in_memory:
            with self._begun(deadline, "BEGIN") as connection:
                if is_current(connection):
                    return
        with self.write(deadline) as connection:
            if not is_current(connection):
                migrate(connection)

    @contextmanager
    def _begun(self, deadline: Deadline, begin: str) -> Iterator[Connection]:
        patience = _in_steps(int(deadline.remaining() * 1000))
        with reported, self._gate, self._connections.lend() as connection, connection.begin():
            _begin(connection, patience, begin)
            yield connection

    def _use_wal(self, deadline: Deadline) -> None:
        """Switch the file to write-ahead logging, which it then keeps."""
        if self._in_memory:
            return
        # A connection of its own: one to a file that turns out to be no database must not stay in the pool.
        with reported, self._gate, closing(sqlite3.connect(self._file, timeout=0)) as connection:
            while not _in_wal_mode(connection):
                if deadline.passed:
                    raise unusable(BUSY)
                threading.Event().wait(0.01)


def _close(lookouts: Lookouts, connections: Spares[Connection], engine: Engine) -> None:
    lookouts.close()
    connections.close()
    engine.dispose()


def _identity(file: str) -> tuple[int, int] | None:
    try:
        found = os.stat(file)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _engine(url: URL, *, in_memory: bool) -> Engine:
    """Return an engine, which opens nothing yet."""
    pool: dict[str, Any] = {"poolclass": StaticPool}
    if not in_memory:
        pool = {"poolclass": QueuePool, "pool_size": _MOST_CONNECTIONS, "max_overflow": -1}
    engine = create_engine(url, connect_args={"check_same_thread": False, "timeout": 0}, **pool)
    event.listen(engine, "connect", _connected)
    return engine


def _connected(connection: Any, record: Any) -> None:
    # From here on nobody but us begins transactions.
    connection.isolation_level = None


def _in_wal_mode(connection: sqlite3.Connection) -> bool:
    """Switch to write-ahead logging; another process that does the same just now makes that fail."""
    try:
        mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise
        return False
    return bool(mode == "wal")


def _in_steps(patience: int) -> int:
    """Return nearly as many milliseconds, and mostly the same: what a connection knows need not be told to it."""
    return patience - patience % 100 if patience > 1000 else patience


def _begin(connection: Connection, patience: int, begin: str) -> None:
    """Begin a transaction, waiting for its turn so many milliseconds at most."""
    # Past SQLAlchemy, which would take several times as long for it.
    driver: Any = connection.connection.driver_connection
    if connection.info.get("patience") != patience:
        driver.execute(f"PRAGMA busy_timeout={patience}")
        # In WAL mode this loses nothing when a process is killed, and waits for no disk.
        driver.execute("PRAGMA synchronous=NORMAL")
        connection.info["patience"] = patience
    driver.execute(begin)
