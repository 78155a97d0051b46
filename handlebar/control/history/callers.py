"""Whom limits count for, and how far back: the same of calls and of metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen
from sqlalchemy import ColumnElement, Table, bindparam

from handlebar.policy.facts import UnavailableError

HOUR = 3_600_000_000
"""In microseconds."""

_EVERYBODY = ""
_MICROSECONDS = 1_000_000


@frozen(kw_only=True)
class Caller:
    """
    Who calls, and when: what limits are counted by.

    Attributes:
        at: The time, microseconds since 1970.
    """

    agent_id: str
    run_id: str
    actor_id: str | None
    run_tags: Mapping[str, str]
    at: int

    @property
    def hour(self) -> int:
        """The hour that it is, counted from 1970."""
        return self.at // HOUR

    @property
    def tallies(self) -> tuple[str, ...]:
        """Whose hours this call belongs to: everybody's, and the actor's, where there is one."""
        return (_EVERYBODY,) if self.actor_id is None else (_EVERYBODY, _one(self.actor_id))

    def values(self, scope: str, window_seconds: float | None) -> dict[str, Any]:
        """
        Return what the tests of `in_scope` and `in_hours` compare with.

        Raises:
            UnavailableError: It is counted for an actor, and the run has none.
        """
        if scope == "agent_user" and self.actor_id is None:
            raise UnavailableError("The run has no actor to count for")
        whose = _one(self.actor_id) if scope == "agent_user" and self.actor_id is not None else _EVERYBODY
        found: dict[str, Any] = {
            "agent_id": self.agent_id,
            "run_id": self.run_id,
            "actor_id": self.actor_id,
            "whose": whose,
        }
        if window_seconds is not None:
            since = self.at - int(window_seconds * _MICROSECONDS)
            first = since // HOUR + 1
            found |= {"since": since, "first_hour": first, "until": first * HOUR}
        return found


def in_scope(table: Table, scope: str, *, windowed: bool, to_the_hour: bool) -> Iterator[ColumnElement[bool]]:
    """
    Yield the tests that keep rows of *table*, calls or samples, to a scope and window.

    Args:
        table: What is counted one by one.

        scope: `run`, `agent` or `agent_user`.

        windowed: Whether only a window counts.

        to_the_hour: Whether only what lies before the window's first full hour is meant; the rest is in the tallies.
    """
    if scope == "run":
        yield table.c.run_id == bindparam("run_id")
    if scope == "agent_user":
        yield table.c.actor_id == bindparam("actor_id")
    if windowed:
        yield table.c.at > bindparam("since")
    if to_the_hour:
        yield table.c.at < bindparam("until")


def in_hours(table: Table, *, windowed: bool) -> Iterator[ColumnElement[bool]]:
    """Yield the tests that keep rows of *table*, of tallies, to whose they are, and to the window's full hours."""
    yield table.c.whose == bindparam("whose")
    if windowed:
        yield table.c.hour >= bindparam("first_hour")


def _one(actor_id: str) -> str:
    # An actor may be called anything, nothing at all too.
    return f":{actor_id}"
