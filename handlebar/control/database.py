"""The database of the control plane: transactions with a time limit, in each process its own connections."""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import QueuePool, StaticPool

from handlebar._plumbing.clock import Deadline
from handlebar._plumbing.forking import ForkGate, PerProcess
from handlebar.control.migrating import is_current, migrate, version
from handlebar.errors import ConfigError, UnreachableError

_MOST_CONNECTIONS = 64
_BUSY = "The database was busy for too long"


class _Process:
    """The connections of one process."""

    def __init__(self, url: URL) -> None:
        self.file = url.database or ":memory:"
        self.in_memory = self.file == ":memory:"
        self.engine = _engine(url, in_memory=self.in_memory)
        if self.in_memory:
            weakref.finalize(self, self.engine.dispose)
        # SQLite lets one write at a time, and its own way to wait for a turn is to sleep.
        self.writing = threading.Lock()
        self.ready = False
        self.file_number = 0
        self._identity: tuple[int, int] | None = None
        self.looking = threading.Lock()
        self._lookout: sqlite3.Connection | None = None
        # SQLite notes which locks its process holds; a child would inherit the notes, and not the locks.
        self.gate = ForkGate(self.close)

    def look(self, query: str) -> int | None:
        """Return the number that *query* asks for, outside any transaction; None where it cannot be had at once."""
        if self.in_memory:
            return None
        try:
            with self.gate, self.looking:
                return int(self._opened_lookout().execute(query).fetchone()[0])
        except sqlite3.OperationalError:
            return None

    def note_file(self) -> None:
        """Take note which file it is that is open."""
        self._identity = None if self.in_memory else _identity(self.file)
        self.file_number += 1
        self.ready = True

    def is_another_file(self) -> bool:
        """Whether the file that is open is not the one that has its name now: it was deleted, or replaced."""
        return not self.in_memory and _identity(self.file) != self._identity

    def _opened_lookout(self) -> sqlite3.Connection:
        if self._lookout is None:
            self._lookout = sqlite3.connect(self.file, timeout=0, isolation_level=None, check_same_thread=False)
        return self._lookout

    def close(self) -> None:
        """Close all connections; but what is in memory would be gone."""
        if self.in_memory:
            return
        with self.looking:
            if self._lookout is not None:
                self._lookout.close()
                self._lookout = None
        self.engine.dispose()


class Database:
    """
    A SQLite database; lives as long as its control plane.

    Thread-safe and fork-safe. Opens nothing before it is used; then the tables are brought up to date. What goes
    wrong in it is raised as `UnreachableError` with reason `database`, and the next call tries anew.

    Args:
        url: `sqlite:///file.db`, or `sqlite://` for one in memory, which each process has to itself.

    Raises:
        ConfigError: *url* is no such URL.
    """

    def __init__(self, url: str) -> None:
        parsed = _parsed(url)
        # A child of a fork must not close its parent's connections, so it keeps them, unused.
        self._kept: list[_Process] = []
        self._process: PerProcess[_Process] = PerProcess(lambda: self._opened(parsed))

    @contextmanager
    def read(self, deadline: Deadline) -> Iterator[Connection]:
        """Run a block in a transaction that only reads, and sees one state of the database."""
        process = self._get_ready(deadline)
        # In memory there is one connection, which the threads have to share.
        if process.in_memory:
            with self.write(deadline) as connection:
                yield connection
            return
        with _begun(process, deadline, "BEGIN") as connection:
            yield connection

    @contextmanager
    def write(self, deadline: Deadline) -> Iterator[Connection]:
        """Run a block in a transaction that nobody else's can come between."""
        with _transaction(self._get_ready(deadline), deadline) as connection:
            yield connection

    def quick_number(self, query: str, deadline: Deadline) -> int:
        """Return the number that *query* asks for, mostly at the cost of microseconds."""
        with _reported():
            number = self._get_ready(deadline).look(query)
        if number is not None:
            return number
        with self.read(deadline) as connection:
            return int(connection.exec_driver_sql(query).scalar_one())

    def file_number(self, deadline: Deadline) -> int:
        """Return a number that differs when the file has been replaced by another since."""
        return self._get_ready(deadline).file_number

    def tables_version(self, deadline: Deadline) -> str | None:
        """Return the version of the tables as they are, and leave them so; None where there are none."""
        with _begun(self._process.get(), deadline, "BEGIN") as connection:
            return version(connection)

    def close(self) -> None:
        """Close this process's connections; later use opens new ones."""
        process = self._process.peek()
        if process is not None:
            process.close()

    def _opened(self, url: URL) -> _Process:
        process = _Process(url)
        self._kept.append(process)
        return process

    def _get_ready(self, deadline: Deadline) -> _Process:
        process = self._process.get()
        if process.ready and process.is_another_file():
            process.ready = False
            process.close()
        if not process.ready:
            _use_wal(process, deadline)
            _bring_up_to_date(process, deadline)
            process.note_file()
        return process


def _bring_up_to_date(process: _Process, deadline: Deadline) -> None:
    """Migrate, where that is needed: who only reads must not have to wait for those who write."""
    if not process.in_memory:
        with _begun(process, deadline, "BEGIN") as connection:
            if is_current(connection):
                return
    with _transaction(process, deadline) as connection:
        if not is_current(connection):
            migrate(connection)


@contextmanager
def _transaction(process: _Process, deadline: Deadline) -> Iterator[Connection]:
    if not process.writing.acquire(timeout=deadline.remaining()):
        raise UnreachableError(_BUSY, reason="database")
    try:
        with _begun(process, deadline, "BEGIN IMMEDIATE") as connection:
            yield connection
    finally:
        process.writing.release()


@contextmanager
def _begun(process: _Process, deadline: Deadline, begin: str) -> Iterator[Connection]:
    patience = int(deadline.remaining() * 1000)
    with _reported(), process.gate, process.engine.connect() as connection:
        waiting = connection.execution_options(handlebar_patience=patience, handlebar_begin=begin)
        with waiting.begin():
            yield waiting


def _use_wal(process: _Process, deadline: Deadline) -> None:
    """Switch the file to write-ahead logging, which it then keeps."""
    if process.in_memory:
        return
    # A connection of its own: one to a file that turns out to be no database must not stay in the pool.
    with _reported(), process.gate, closing(sqlite3.connect(process.file, timeout=0)) as connection:
        while not _in_wal_mode(connection):
            if deadline.passed:
                raise UnreachableError(_BUSY, reason="database")
            threading.Event().wait(0.01)


@contextmanager
def _reported() -> Iterator[None]:
    """Raise what goes wrong in the database as an error of the control plane."""
    try:
        yield
    # The last: a number that no column holds.
    except (SQLAlchemyError, sqlite3.Error, OSError, OverflowError) as error:
        cause = getattr(error, "orig", None) or error
        raise UnreachableError(f"The database cannot be used: {cause}", reason="database") from error


def _identity(file: str) -> tuple[int, int] | None:
    try:
        found = os.stat(file)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except SQLAlchemyError as error:
        raise ConfigError("api_endpoint", url, "sqlite:///file.db or sqlite://") from error
    if parsed.get_backend_name() != "sqlite" or parsed.host:
        raise ConfigError("api_endpoint", url, "sqlite:///file.db (three slashes) or sqlite://")
    return parsed


def _engine(url: URL, *, in_memory: bool) -> Engine:
    """Return an engine, which opens nothing yet."""
    pool: dict[str, Any] = {"poolclass": StaticPool}
    if not in_memory:
        pool = {"poolclass": QueuePool, "pool_size": _MOST_CONNECTIONS, "max_overflow": -1}
    engine = create_engine(url, connect_args={"check_same_thread": False, "timeout": 0}, **pool)
    event.listen(engine, "connect", _connected)
    event.listen(engine, "begin", _begin)
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


def _begin(connection: Connection) -> None:
    """Begin a transaction, waiting for its turn so many milliseconds at most."""
    options = connection.get_execution_options()
    # Past SQLAlchemy, which would take several times as long for it.
    driver: Any = connection.connection.driver_connection
    driver.execute(f"PRAGMA busy_timeout={options['handlebar_patience']}")
    # In WAL mode this loses nothing when a process is killed, and waits for no disk.
    driver.execute("PRAGMA synchronous=NORMAL")
    driver.execute(options["handlebar_begin"])
