"""The database of the control plane: transactions with a time limit, in each process its own connections."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import QueuePool, StaticPool

from handlebar._plumbing.clock import Deadline
from handlebar._plumbing.forking import PerProcess
from handlebar.control.migrating import is_current, migrate
from handlebar.errors import ConfigError, UnreachableError

_MOST_CONNECTIONS = 64
_OPENING_SECONDS = 5.0


class _Process:
    """The connections of one process."""

    def __init__(self, url: URL) -> None:
        self.file = url.database or ":memory:"
        self.in_memory = self.file == ":memory:"
        self.engine = _engine(url, in_memory=self.in_memory)
        # SQLite lets one write at a time, and its own way to wait for a turn is to sleep.
        self.writing = threading.Lock()
        self.ready = False
        self.looking = threading.Lock()
        self._lookout: sqlite3.Connection | None = None

    def lookout(self) -> sqlite3.Connection:
        """Return the connection for quick looks; hold `looking` for as long as you use it."""
        if self._lookout is None:
            self._lookout = sqlite3.connect(self.file, isolation_level=None, check_same_thread=False)
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
        with _reported(), process.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self, deadline: Deadline) -> Iterator[Connection]:
        """Run a block in a transaction that nobody else's can come between."""
        with _transaction(self._get_ready(deadline), deadline) as connection:
            yield connection

    def quick_number(self, query: str, deadline: Deadline) -> int:
        """Return the number that *query* asks for, at the cost of microseconds; outside any transaction."""
        process = self._get_ready(deadline)
        if process.in_memory:
            with self.read(deadline) as connection:
                return int(connection.exec_driver_sql(query).scalar_one())
        try:
            with process.looking:
                return int(process.lookout().execute(query).fetchone()[0])
        except sqlite3.Error as error:
            raise _unusable(error) from error

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
        if not process.ready:
            with _transaction(process, deadline) as connection:
                if not is_current(connection):
                    migrate(connection)
            process.ready = True
        return process


@contextmanager
def _transaction(process: _Process, deadline: Deadline) -> Iterator[Connection]:
    if not process.writing.acquire(timeout=deadline.remaining()):
        raise UnreachableError("The database was busy for too long", reason="database")
    try:
        patience = int(deadline.remaining() * 1000)
        with _reported(), process.engine.connect() as connection:
            waiting = connection.execution_options(handlebar_patience=patience)
            with waiting.begin():
                yield waiting
    finally:
        process.writing.release()


@contextmanager
def _reported() -> Iterator[None]:
    """Raise what goes wrong in the database as an error of the control plane."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise _unusable(error) from error


def _unusable(error: Exception) -> UnreachableError:
    cause = getattr(error, "orig", None) or error
    return UnreachableError(f"The database cannot be used: {cause}", reason="database")


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
    engine = create_engine(url, connect_args={"check_same_thread": False}, **pool)
    event.listen(engine, "connect", _connected)
    event.listen(engine, "begin", _begin)
    return engine


def _connected(connection: Any, record: Any) -> None:
    # From here on nobody but us begins transactions.
    connection.isolation_level = None
    deadline = Deadline.after(_OPENING_SECONDS)
    while not _in_wal_mode(connection) and not deadline.passed:
        threading.Event().wait(0.01)
    # In WAL mode this loses nothing when a process is killed, and waits for no disk.
    connection.execute("PRAGMA synchronous=NORMAL")


def _in_wal_mode(connection: Any) -> bool:
    """Switch to write-ahead logging; another process that does the same just now makes that fail."""
    try:
        mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise
        return False
    return mode in ("wal", "memory")


def _begin(connection: Connection) -> None:
    """Begin a transaction; one that writes waits for its turn, so many milliseconds at most."""
    patience = connection.get_execution_options().get("handlebar_patience")
    # Past SQLAlchemy, which would take several times as long for it.
    driver: Any = connection.connection.driver_connection
    if patience is None:
        driver.execute("BEGIN")
    else:
        driver.execute(f"PRAGMA busy_timeout={patience}")
        driver.execute("BEGIN IMMEDIATE")
