"""What a server does now and then: packets run out in time, and what nobody needs any more is thrown away."""

from __future__ import annotations

from sqlalchemy import Column, ColumnElement, Table, delete, select

from handlebar._plumbing.clock import Deadline, time_ns
from handlebar.control.database import Database
from handlebar.control.handoffs.expiring import expire_due
from handlebar.control.tables import handoff_deliveries, handoff_outbox

DAY = 86_400 * 1_000_000

KEPT_EVENTS = 7 * DAY
"""So long a listener may be away and still learn what it missed."""

KEPT_DELIVERIES = 30 * DAY
"""So long the log tells of what was delivered; dead letters stay until they are delivered."""


def keep_house(database: Database, deadline: Deadline) -> None:
    """Do what is to be done by now; any number of processes may."""
    expire_due(database, deadline)
    delivered = handoff_deliveries.c.status == "delivered"
    _throw_away(database, deadline, handoff_outbox, handoff_outbox.c.at, KEPT_EVENTS)
    _throw_away(database, deadline, handoff_deliveries, handoff_deliveries.c.updated_at, KEPT_DELIVERIES, delivered)


def _throw_away(
    database: Database, deadline: Deadline, table: Table, at: Column[int], kept: int, *only: ColumnElement[bool]
) -> None:
    """Throw away what is older than *kept*; only once a day, so that it is looked at often at little cost."""
    oldest = select(at).where(*only).order_by(*table.primary_key.columns).limit(1)
    now = time_ns() // 1000
    with database.read(deadline) as connection:
        known = connection.execute(oldest).scalar()
    if known is None or known > now - kept - DAY:
        return
    with database.write(deadline) as connection:
        connection.execute(delete(table).where(at < now - kept, *only))
