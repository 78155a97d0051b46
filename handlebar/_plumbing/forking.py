"""State that belongs to one process: made on first use, forgotten by a fork's child, never inherited."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")

_Key = tuple[int, int]
_everyone: weakref.WeakSet[PerProcess[Any]] = weakref.WeakSet()
_gates: weakref.WeakSet[ForkGate] = weakref.WeakSet()

FORK_SECONDS = 5.0
"""So long a fork waits at most for those who are inside a gate."""


class PerProcess(Generic[T]):
    """
    Holds one value for each process, made by *make* when it is first asked for.

    A child of a fork gets a value of its own. The child's hook only drops references, it creates nothing, and
    forks that bypass Python's hooks (uWSGI) are caught by the process id in the key. The key also changes when
    gevent replaces `threading`, so that locks made before the patch are not waited on after it.

    Thread-safe without a lock: where two threads meet, *make* may run twice, and one result is dropped.
    So *make* must only build objects; it must not start a thread or open a socket.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._values: dict[_Key, T] = {}
        _everyone.add(self)

    def get(self) -> T:
        """Return this process's value."""
        key = _key()
        try:
            return self._values[key]
        except KeyError:
            return self._values.setdefault(key, self._make())

    def peek(self) -> T | None:
        """Return this process's value if it has been made."""
        return self._values.get(_key())

    def forget(self) -> None:
        """Drop all values; what held resources is left to the process that made it."""
        self._values = {}


class ForkGate:
    """
    Lets a fork happen only while nobody is inside, and nothing is open.

    For what must not be open in a process that forks, because a library keeps notes on it that a child would
    take for its own. Thread-safe. Whoever comes while a fork is about to happen waits until it has happened; one
    who forks from inside waits for nobody, and nothing is closed.

    Args:
        clear: Called before a fork, when nobody is inside; closes what is open.
    """

    def __init__(self, clear: Callable[[], None]) -> None:
        self._clear = weakref.WeakMethod(clear)
        self._changed = threading.Condition()
        self._inside: list[int] = []
        self._forking = False
        _gates.add(self)

    def __enter__(self) -> None:
        with self._changed:
            if self._forking:
                self._changed.wait_for(lambda: not self._forking, FORK_SECONDS)
            self._inside.append(threading.get_ident())

    def __exit__(self, *error: object) -> None:
        with self._changed:
            self._inside.remove(threading.get_ident())
            if self._forking:
                self._changed.notify_all()

    def shut(self) -> None:
        """Wait until everybody is outside, a few seconds at most, keep them there, and clear."""
        with self._changed:
            self._forking = True
            mine = threading.get_ident() in self._inside
            free = not mine and self._changed.wait_for(lambda: not self._inside, FORK_SECONDS)
        clear = self._clear()
        if free and clear is not None:
            clear()

    def open(self) -> None:
        """Let everybody in again."""
        with self._changed:
            self._forking = False
            self._changed.notify_all()


def _key() -> _Key:
    # The lock factory's identity changes when gevent patches.
    return os.getpid(), id(threading.Lock)


def _forget_in_child() -> None:
    for holder in list(_everyone):
        holder.forget()
    # They are the parent's, with locks that its other threads may have held.
    _gates.clear()


def _shut_gates() -> None:
    for gate in list(_gates):
        gate.shut()


def _open_gates() -> None:
    for gate in list(_gates):
        gate.open()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(before=_shut_gates, after_in_parent=_open_gates, after_in_child=_forget_in_child)
