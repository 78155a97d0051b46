"""Connections to PostgreSQL that keep to a deadline, and to their process."""

from __future__ import annotations

import os
import selectors
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from math import ceil
from typing import Any, TypeVar

import psycopg

from handlebar._plumbing.clock import Deadline
from handlebar._plumbing.daemon_threads import DaemonThreads

RV = TypeVar("RV")

_MOST_CONNECTING = 16
_threads = DaemonThreads("connecting", most=_MOST_CONNECTING)


class Waiting(threading.local):
    """
    How long the calling thread waits for an answer of the server.

    Attributes:
        until: Returns the deadline of a wait that begins now.
    """

    def __init__(self) -> None:
        self.until: Callable[[], Deadline] = lambda: Deadline.after(0)

    @contextmanager
    def for_answers(self, until: Callable[[], Deadline]) -> Iterator[None]:
        """Let *until* say how long, inside a block."""
        before, self.until = self.until, until
        try:
            yield
        finally:
            self.until = before


waiting = Waiting()


class TimedConnection(psycopg.Connection[Any]):
    """A connection whose every wait has an end; one that the server has let down is closed."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._process = os.getpid()

    def wait(self, gen: Any, *args: Any, **more: Any) -> Any:
        """Wait, as the driver does, until the deadline."""
        if self._process != os.getpid():
            raise psycopg.OperationalError("the connection is that of another process")
        try:
            return super().wait(_until(gen, waiting.until()), *args, **more)
        except TimeoutError as error:
            self.close()
            raise psycopg.OperationalError("the server did not answer in time") from error

    def close(self) -> None:
        """Close it; one that was inherited is left alone."""
        if self._process == os.getpid():
            super().close()

    @property
    def is_dropped(self) -> bool:
        """Whether the server has closed it: it says something that nobody has asked for, if only the end."""
        if self.closed:
            return True
        with selectors.DefaultSelector() as selector:
            selector.register(self.fileno(), selectors.EVENT_READ)
            return bool(selector.select(0))


def connect(*args: Any, **parameters: Any) -> TimedConnection:
    """
    Connect, on a thread of its own: what looks up the server's name cannot be told a deadline.

    Raises:
        psycopg.Error: The server is not to be had, or not in time.
    """
    deadline = waiting.until()
    future = _threads.submit(_connected, deadline, args, parameters)
    if future is None:
        raise psycopg.OperationalError(f"{_MOST_CONNECTING} threads wait for the server already")
    try:
        return future.result(deadline.remaining())
    except BaseException as error:
        future.add_done_callback(_close_late)
        # On Python 3.10 it is not yet the builtin one.
        if isinstance(error, FutureTimeoutError) and not future.done():
            raise psycopg.OperationalError("the server could not be reached in time") from None
        raise


def _connected(deadline: Deadline, args: Any, parameters: dict[str, Any]) -> TimedConnection:
    # The driver counts whole seconds.
    parameters.setdefault("connect_timeout", ceil(deadline.remaining()) or 1)
    with waiting.for_answers(lambda: deadline):
        return TimedConnection.connect(*args, **parameters)


def _close_late(future: Future[TimedConnection]) -> None:
    if future.exception() is None:
        future.result().close()


def _until(gen: Any, deadline: Deadline) -> Any:
    """Go on with *gen*, which the driver asks ten times a second whether it has all it wants, until *deadline*."""
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if not ready and deadline.passed:
                raise TimeoutError
            wanted = gen.send(ready)
    except StopIteration as end:
        return end.value
