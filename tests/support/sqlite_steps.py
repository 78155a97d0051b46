"""How much SQLite does for something: the steps of its virtual machine, which are the same every time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from attrs import field, frozen
from sqlalchemy import Engine, event

_AT_ONCE = 100


@frozen
class Steps:
    """Counts, in hundreds, the steps that SQLite takes; PostgreSQL tells of none."""

    taken: list[None] = field(factory=list)

    def follow(self, connection: Any, record: object) -> None:
        """Count what this new connection does."""
        if hasattr(connection, "set_progress_handler"):
            connection.set_progress_handler(lambda: self.taken.append(None), _AT_ONCE)

    def of(self, do: Callable[[], object]) -> int:
        """Return how many *do* takes."""
        before = len(self.taken)
        do()
        return _AT_ONCE * (len(self.taken) - before)


@contextmanager
def counted() -> Iterator[Steps]:
    """Count the steps of all connections that are opened meanwhile."""
    steps = Steps()
    event.listen(Engine, "connect", steps.follow)
    try:
        yield steps
    finally:
        event.remove(Engine, "connect", steps.follow)
