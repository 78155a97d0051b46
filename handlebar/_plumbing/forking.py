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


def _key() -> _Key:
    # The lock factory's identity changes when gevent patches.
    return os.getpid(), id(threading.Lock)


def _forget_in_child() -> None:
    for holder in list(_everyone):
        holder.forget()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_forget_in_child)
