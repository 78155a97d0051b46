"""What is dear to open, kept open between uses."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Spares(Generic[T]):
    """
    Lends things out, each to one borrower at a time, and opens another where all are lent; thread-safe.

    A thing that is in use when something is raised is not lent again, but closed.

    Args:
        open_one: Opens one.

        close_one: Closes one.
    """

    def __init__(self, open_one: Callable[[], T], close_one: Callable[[T], None]) -> None:
        self._open_one = open_one
        self._close_one = close_one
        self._free: deque[T] = deque()

    def lend(self) -> _Loan[T]:
        """Return a context manager that gives one of them for the length of its block."""
        return _Loan(self)

    def close(self) -> None:
        """Close all; those that are lent just now, when they come back."""
        free, self._free = self._free, deque()
        self._close_all(free)

    def _take(self, free: deque[T]) -> T:
        try:
            return free.pop()
        except IndexError:
            return self._open_one()

    def _take_back(self, thing: T, free: deque[T]) -> None:
        free.append(thing)
        if free is not self._free:
            self._close_all(free)

    def _close_all(self, free: deque[T]) -> None:
        while free:
            try:
                thing = free.pop()
            except IndexError:  # somebody else has taken the last one
                return
            self._close_one(thing)


class _Loan(Generic[T]):
    """One thing, lent for one block; a generator would take three times as long."""

    __slots__ = ("_free", "_spares", "_thing")

    def __init__(self, spares: Spares[T]) -> None:
        self._spares = spares
        self._free = spares._free

    def __enter__(self) -> T:
        self._thing = self._spares._take(self._free)
        return self._thing

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is None:
            self._spares._take_back(self._thing, self._free)
        else:
            self._spares._close_one(self._thing)
