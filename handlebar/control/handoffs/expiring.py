"""Packets that run out: nobody has touched them for a day, or no person has answered in time."""

from __future__ import annotations

from sqlalchemy import Connection, Select, select

from handlebar._plumbing.clock import Deadline, time_ns
from handlebar.control.database import Database
from handlebar.control.handoffs import happenings, life_cycle, storing
from handlebar.control.handoffs.storing import Stored
from handlebar.control.moments import moment
from handlebar.control.tables import handoff_packets
from handlebar.handoff.models.words import PacketStatus

ACTOR = "system:expiry_task"

_AT_ONCE = 100


def expire_due(database: Database, deadline: Deadline, *, tenant: str | None = None) -> int:
    """
    Let every packet expire whose time is over; return how many did.

    Whoever reads or changes packets calls it before, so that what is read is right though nothing runs in the
    background; a server calls it now and then, so that webhooks are told in time. Any number may call it at once.

    Args:
        database: Where the packets are.

        deadline: Raises UnreachableError when it has passed.

        tenant: Whose packets; None for everybody's.
    """
    expired = 0
    while _any_due(database, deadline, tenant):
        with database.write(deadline) as connection:
            expired += _expire(connection, tenant)
    return expired


def _any_due(database: Database, deadline: Deadline, tenant: str | None) -> bool:
    with database.read(deadline) as connection:
        return connection.execute(_due(tenant, time_ns() // 1000).limit(1)).first() is not None


def _expire(connection: Connection, tenant: str | None) -> int:
    now = time_ns() // 1000
    rows = connection.execute(_due(tenant, now).order_by(handoff_packets.c.due_at).limit(_AT_ONCE)).all()
    for row in rows:
        _expire_one(connection, storing.stored(row), now)
    return len(rows)


def _expire_one(connection: Connection, before: Stored, now: int) -> None:
    reason = "hitl_timeout" if life_cycle.times_out(before.packet) else "ttl_exceeded"
    packet = life_cycle.moved(before.packet, PacketStatus.EXPIRED, moment(now))
    storing.replace(connection, before, packet)
    details = {"previous_status": before.packet.status.value, "reason": reason}
    happenings.note(connection, before.tenant, packet, "expired", ACTOR, **details)
    happenings.tell(connection, before.tenant, packet, "packet.expired", **details)


def _due(tenant: str | None, now: int) -> Select[tuple[object, ...]]:
    query = select(handoff_packets).where(handoff_packets.c.due_at <= now)
    return query if tenant is None else query.where(handoff_packets.c.tenant == tenant)
