"""
Deliveries as the database keeps them while they are made: who makes which, and what becomes of each.

A delivery is leased by moving the time at which it is due to where the lease runs out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen
from sqlalchemy import Connection, Select, func, select, update

from handlebar._plumbing.identifiers import uuid7
from handlebar.control.dialects import unindexed
from handlebar.control.tables import handoff_deliveries, handoff_webhooks

WAITS = (1, 5, 30, 300, 3600)
"""Seconds from each attempt that fails to the next; after one more it is given up."""

LEASE_SECONDS = 30
"""Longer than an attempt, with all that belongs to it, can take."""

_SECOND = 1_000_000
_DUE = handoff_deliveries.c


@frozen(kw_only=True)
class Job:
    """One attempt that this process has taken on; *secret* is as it is kept."""

    number: int
    lease: str
    delivery_id: str
    url: str
    secret: str = field(repr=False)
    event_type: str
    body: str = field(repr=False)
    attempts: int


@frozen
class Outcome:
    """What came of an attempt; *error* is None where it went well."""

    status_code: int | None
    error: str | None


def lease(connection: Connection, now: int, most: int) -> list[Job]:
    """Take on what is due, so many at most, and at most one for each webhook."""
    mine = uuid7()
    numbers = _due(connection, now, most)
    for number in numbers:
        # Where two come between each other, exactly one finds the row as it was.
        free = (_DUE.number == number, _DUE.next_at <= now)
        leased = {"lease": mine, "next_at": now + LEASE_SECONDS * _SECOND}
        connection.execute(update(handoff_deliveries).where(*free).values(leased))
    return _taken(connection, numbers, mine)


def next_at(connection: Connection, now: int) -> int | None:
    """Return when the next delivery is due; None where none waits."""
    # What else a busy webhook is to be told has to wait until its lease is over.
    waiting = _DUE.lease.is_not(None) | _DUE.webhook_id.not_in(_busy(now))
    at: int | None = connection.execute(select(func.min(_DUE.next_at)).where(waiting)).scalar()
    return at


def note(connection: Connection, job: Job, outcome: Outcome, now: int) -> None:
    """Note what came of an attempt, unless its lease has run out and another has taken it on."""
    mine = (_DUE.number == job.number, _DUE.lease == job.lease)
    connection.execute(update(handoff_deliveries).where(*mine).values(_noted(job, outcome, now)))


def _busy(now: int) -> Select[Any]:
    """Return what selects the webhooks that are told something just now."""
    return select(_DUE.webhook_id).where(_DUE.lease.is_not(None), _DUE.next_at > now)


def _due(connection: Connection, now: int, most: int) -> Sequence[int]:
    """Return the oldest delivery that is due of each webhook that is told nothing just now."""
    oldest = select(func.min(_DUE.number)).where(_DUE.next_at <= now, _DUE.webhook_id.not_in(_busy(now)))
    # Through the index of the webhooks, all that was ever delivered would be read.
    of_each = oldest.group_by(unindexed(_DUE.webhook_id))
    # By chance: in any order, those that are slow and have much to be told could keep the others waiting for ever.
    return connection.execute(of_each.order_by(func.random()).limit(most)).scalars().all()


def _taken(connection: Connection, numbers: Sequence[int], lease: str) -> list[Job]:
    hook = handoff_webhooks.c
    wanted = (_DUE.number, _DUE.id, _DUE.event_type, _DUE.body, _DUE.attempts, hook.url, hook.secret)
    both = handoff_deliveries.join(handoff_webhooks, hook.id == _DUE.webhook_id)
    rows = connection.execute(select(*wanted).select_from(both).where(_DUE.number.in_(numbers), _DUE.lease == lease))
    return [
        Job(
            number=row.number,
            lease=lease,
            delivery_id=row.id,
            url=row.url,
            secret=row.secret,
            event_type=row.event_type,
            body=row.body,
            attempts=row.attempts,
        )
        for row in rows
    ]


def _noted(job: Job, outcome: Outcome, now: int) -> Mapping[str, Any]:
    """Return what changes in the delivery by an attempt."""
    attempts = job.attempts + 1
    known = {
        "attempts": attempts,
        "last_error": outcome.error,
        "last_status_code": outcome.status_code,
        "lease": None,
        "updated_at": now,
    }
    if outcome.error is None:
        return {**known, "status": "delivered", "delivered_at": now, "next_at": None}
    if attempts > len(WAITS):
        return {**known, "status": "dead_letter", "next_at": None}
    return {**known, "status": "failed", "next_at": now + WAITS[attempts - 1] * _SECOND}
