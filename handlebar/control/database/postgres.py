"""A PostgreSQL database as one process has it open."""

from __future__ import annotations

import hashlib
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import InvalidatePoolError as DroppedError
from sqlalchemy.pool import QueuePool

from handlebar._plumbing.clock import Deadline
from handlebar._plumbing.forking import ForkGate
from handlebar.control.database import psycopg_connecting
from handlebar.control.database.psycopg_connecting import TimedConnection, waiting
from handlebar.control.database.trouble import BUSY, reported, unusable
from handlebar.control.migrating import HEAD, migrate, version

T = TypeVar("T")

_MOST_CONNECTIONS = 10
"""Of one process; by default a server lets in a hundred in all."""

_MOST_IDLE_MS = 30_000
"""A process that stops in the middle of its transaction holds the others up for so long at most."""

_EVERYTHING = 0x68616E646C656200
"""The lock on the control plane: any number that nobody else uses."""

_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"


class PostgresDatabase:
    """
    Implements `OpenedDatabase` on a server.

    Whoever writes has the whole control plane to himself, by a lock of the server's; or the part of one agent, beside
    others who have theirs. The lock ends with the transaction, whatever becomes of the process.
    """

    def __init__(self, url: URL) -> None:
        self.engine = _engine(url)
        weakref.finalize(self, self.engine.dispose)
        self._places = threading.BoundedSemaphore(_MOST_CONNECTIONS)
        self._closings = 0
        self._ready = False
        self.file_number = 0
        # A child would keep the server from seeing that its parent is gone.
        self._gate = ForkGate(self.close)

    def get_ready(self, deadline: Deadline) -> None:
        """
        Look, once, whether the tables are up to date.

        Raises:
            UnreachableError: They are not.
        """
        if self._ready:
            return
        found = self.tables_version(deadline)
        if found != HEAD:
            raise unusable(_advice(found))
        self.file_number += 1
        self._ready = True

    def upgrade(self, deadline: Deadline) -> None:
        """Bring the tables up to date, as `OpenedDatabase` says; of several who try at once, one does it."""
        with self.write(deadline) as connection:
            if version(connection) != HEAD:
                migrate(connection)

    def tables_version(self, deadline: Deadline) -> str | None:
        """Tell, as `OpenedDatabase` says."""
        with self.read(deadline) as connection:
            return version(connection)

    @contextmanager
    def read(self, deadline: Deadline) -> Iterator[Connection]:
        """Read, as `OpenedDatabase` says; what is long, and comes in parts, has the whole time for each."""
        patience = deadline.remaining()
        with self._begun(f"{_READ}; {_limited(deadline)}", lambda: Deadline.after(patience), deadline) as connection:
            yield connection

    @contextmanager
    def write(self, deadline: Deadline, agent_id: str | None = None) -> Iterator[Connection]:
        """Write, as `OpenedDatabase` says."""
        idle = f"SET LOCAL idle_in_transaction_session_timeout = {_MOST_IDLE_MS}"
        begin = f"{_WRITE}; {_limited(deadline)}; {idle}; {_locked(agent_id)}"
        with self._begun(begin, lambda: deadline, deadline) as connection:
            yield connection

    def commit(self, do: Callable[[Connection], T], deadline: Deadline, agent_id: str | None) -> T:
        """Commit, as `OpenedDatabase` says; each has a transaction to himself."""
        with self.write(deadline, agent_id) as connection:
            return do(connection)

    def number(self, query: str, deadline: Deadline) -> int:
        """Ask, as `OpenedDatabase` says: once there and back."""
        with self._connected(lambda: deadline, deadline) as connection:
            driver: Any = connection.connection.driver_connection
            try:
                answers = driver.execute(f"{_limited(deadline)}; {query}")
                while answers.nextset():
                    pass
                return int(answers.fetchone()[0])
            except psycopg.Error:
                connection.invalidate()
                raise

    def close(self) -> None:
        """Close all connections; those that somebody uses just now, when he is done."""
        self._closings += 1
        self.engine.dispose()

    @contextmanager
    def _begun(self, begin: str, until: Callable[[], Deadline], deadline: Deadline) -> Iterator[Connection]:
        with self._connected(until, deadline) as connection:
            beginning = connection.execution_options(handlebar_begin=begin)
            with beginning.begin():
                yield beginning

    @contextmanager
    def _connected(self, until: Callable[[], Deadline], deadline: Deadline) -> Iterator[Connection]:
        told, place, timed = self._told(), self._place(deadline), waiting.for_answers(until)
        with told, self._gate, place, timed, self.engine.connect() as connection:
            before = self._closings
            try:
                yield connection
            finally:
                if self._closings != before:
                    connection.invalidate()

    @contextmanager
    def _place(self, deadline: Deadline) -> Iterator[None]:
        """Have one of the process's connections."""
        if not self._places.acquire(timeout=deadline.remaining()):
            raise unusable(BUSY)
        try:
            yield
        finally:
            self._places.release()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Raise what goes wrong as an error of the control plane, in words that repeat nothing of what is stored."""
        with reported:
            try:
                yield
            except (DBAPIError, psycopg.Error) as error:
                cause = error.orig if isinstance(error, DBAPIError) else error
                if isinstance(cause, psycopg.errors.UndefinedTable):
                    # Somebody has put another database in its place.
                    self._ready = False
                raise unusable(_words(cause)) from error


def _advice(found: str | None) -> str:
    if found is None or found < HEAD:
        return f"The database's tables are at version {found or 'none'}, not {HEAD}: run `handlebar db upgrade`"
    return f"The tables are those of another version of the package, a newer one: {found} is not {HEAD}"


def _words(cause: BaseException | None) -> str:
    if isinstance(cause, (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled)):
        return BUSY
    primary = cause.diag.message_primary if isinstance(cause, psycopg.Error) else None
    return f"The database cannot be used: {primary or cause}"


def _limited(deadline: Deadline) -> str:
    """Return what lets the server give up when nobody waits any more; 0 would mean never."""
    patience = max(1, int(deadline.remaining() * 1000))
    return f"SET LOCAL statement_timeout = {patience}; SET LOCAL lock_timeout = {patience}"


def _locked(agent_id: str | None) -> str:
    """Return what waits for everybody else who writes; or, for one agent, for those who write about it, or all."""
    if agent_id is None:
        return f"SELECT pg_advisory_xact_lock({_EVERYTHING})"
    return f"SELECT pg_advisory_xact_lock_shared({_EVERYTHING}); SELECT pg_advisory_xact_lock({_number(agent_id)})"


def _number(agent_id: str) -> int:
    """Return the lock of one agent; two that share one only wait for each other."""
    digest = hashlib.sha256(agent_id.encode(errors="backslashreplace")).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def _engine(url: URL) -> Engine:
    """Return an engine, which opens nothing yet."""
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=_MOST_CONNECTIONS,
        max_overflow=-1,
        # We begin transactions by ourselves, in one go with what belongs to their beginning.
        connect_args={"autocommit": True, "client_encoding": "utf8", "fallback_application_name": "handlebar"},
        use_native_hstore=False,
    )
    event.listen(engine, "do_connect", _connect)
    event.listen(engine, "checkout", _check)
    event.listen(engine, "begin", _begin)
    return engine


def _connect(dialect: Any, record: Any, args: Any, parameters: Any) -> TimedConnection:
    return psycopg_connecting.connect(*args, **parameters)


def _check(connection: TimedConnection, record: Any, fairy: Any) -> None:
    """Take another connection instead of one that the server has closed: it has been restarted, perhaps."""
    if connection.is_dropped:
        raise DroppedError


def _begin(connection: Connection) -> None:
    begin = connection.get_execution_options().get("handlebar_begin")
    if begin is not None:
        # Without parameters, for then several statements go together.
        connection.exec_driver_sql(begin, execution_options={"no_parameters": True})
