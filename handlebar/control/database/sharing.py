"""Group commit: those who wait to write share a transaction, and are answered once it is committed."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection

from handlebar._plumbing.clock import Deadline
from handlebar.control.database.trouble import BUSY, reported, unusable
from handlebar.errors import UnreachableError

T = TypeVar("T")


class _Work(Generic[T]):
    """What somebody wants done in a transaction, and what has come of it."""

    def __init__(self, do: Callable[[Connection], T]) -> None:
        # An Event would take several times as long.
        self._calls: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._do = do
        self._outcome: Callable[[], T] = _too_late
        self._is_committed = False

    def wait(self, deadline: Deadline) -> None:
        """Wait until somebody wakes whoever wants it."""
        with suppress(queue.Empty):
            self._calls.get(timeout=deadline.remaining())

    def wake(self) -> None:
        """Wake him: it is done, or he has to do everybody's."""
        self._calls.put(None)

    def run(self, connection: Connection) -> None:
        """Do it, so that nothing of it stays where it fails, and the rest of the transaction does."""
        driver: Any = connection.connection.driver_connection
        driver.execute("SAVEPOINT work")
        try:
            with reported:
                result = self._do(connection)
        except Exception as error:  # is the one's who wanted it
            if not driver.in_transaction:
                # Where the disk is full, SQLite has undone everything.
                raise
            driver.execute("ROLLBACK TO work")
            self._outcome = _raising(error)
        else:
            self._outcome = lambda: result
        driver.execute("RELEASE work")

    def run_alone(self, connection: Connection) -> None:
        """Do it in a transaction that is for nobody else, and that ends with it where it fails."""
        result = self._do(connection)
        self._outcome = lambda: result

    def commit(self) -> None:
        """Note that it is committed, with all that was done beside it."""
        self._is_committed = True
        self.wake()

    def fail(self, error: BaseException) -> None:
        """Note that it cannot be told from here that it is stored, because of *error*, which has hit all."""
        self._outcome, self._is_committed = _raising(unusable(_words(error))), True
        self.wake()

    def result(self) -> T:
        """Return what it has returned, or raise what it has raised; raises UnreachableError where it is not done."""
        return self._outcome() if self._is_committed else _too_late()


class SharedTransactions:
    """
    Runs everybody's work in as few transactions as there can be; lives as long as what a process has open.

    Thread-safe. Needs no thread: the first who comes leads, does the work of all who are waiting by then, commits, and
    lets the next one lead. Whoever's deadline passes goes without; what is already under way for him is stored whole or
    not at all.

    Args:
        write: Begins a transaction that nobody else's can come between.
    """

    def __init__(self, write: Callable[[Deadline], AbstractContextManager[Connection]]) -> None:
        self._write = write
        self._lock = threading.Lock()
        self._waiting: deque[_Work[Any]] = deque()
        self._leading: _Work[Any] | None = None

    def run(self, do: Callable[[Connection], T], deadline: Deadline) -> T:
        """
        Return what *do* returns in a transaction, once that is committed.

        Raises:
            UnreachableError: It could not be had in time, or not be committed.
        """
        work = _Work(do)
        try:
            self._join(work)
            work.wait(deadline)
            if self._leading is work:
                self._lead(work, deadline)
        finally:
            # An exception from a signal handler may come anywhere: nobody must wait for one who is gone.
            self._leave(work)
        return work.result()

    def _join(self, work: _Work[Any]) -> None:
        with self._lock:
            self._waiting.append(work)
            if self._leading is None:
                self._appoint(work)

    def _lead(self, mine: _Work[Any], deadline: Deadline) -> None:
        """Do the work of all who wait, the leader's own, *mine*, too; who cannot begin has nobody's done."""
        taken: list[_Work[Any]] = []
        try:
            with self._write(deadline) as connection:
                taken = self._take()
                if taken == [mine]:
                    mine.run_alone(connection)
                else:
                    for each in taken:
                        each.run(connection)
        except BaseException as error:
            for each in taken:
                each.fail(error)
            raise
        for each in taken:
            each.commit()

    def _take(self) -> list[_Work[Any]]:
        with self._lock:
            taken = list(self._waiting)
            self._waiting.clear()
        return taken

    def _leave(self, work: _Work[Any]) -> None:
        with self._lock:
            if work in self._waiting:
                self._waiting.remove(work)
            if self._leading is work:
                self._appoint(self._waiting[0] if self._waiting else None)

    def _appoint(self, work: _Work[Any] | None) -> None:
        self._leading = work
        if work is not None:
            work.wake()


def _too_late() -> Any:
    raise unusable(BUSY)


def _raising(error: Exception) -> Callable[[], Any]:
    def answer() -> Any:
        raise error

    return answer


def _words(error: BaseException) -> str:
    return str(error) if isinstance(error, UnreachableError) else "The transaction was interrupted"
