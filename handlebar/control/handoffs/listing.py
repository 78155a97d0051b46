"""Many packets: filtered and counted by the database, a page at a time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from attrs import frozen
from sqlalchemy import ColumnElement, Connection, Row, and_, func, or_, select

from handlebar._plumbing.clock import time_ns
from handlebar.control.handoffs.asking import Asked, Reply, Route
from handlebar.control.handoffs.cursors import Cursor, read_cursor
from handlebar.control.handoffs.queries import Query
from handlebar.control.moments import microseconds
from handlebar.control.tables import handoff_packets, handoff_tags

_PACKET = handoff_packets.c
_AWAITING = "awaiting_human"
_EXPIRED = "expired"
_DAY = 24 * 3600 * 1_000_000
_SECOND = 1_000_000

Condition = ColumnElement[bool]


@frozen(kw_only=True)
class Page:
    """
    A part of what was found.

    Attributes:
        rows: Of the packets' table.

        total: How many there are in all.
    """

    rows: Sequence[Row[Any]]
    total: int

    def on_wire(self, query: Query, *, next_cursor: str | None = None) -> dict[str, Any]:
        """Return the page as it is answered to *query*."""
        packets = [json.loads(row.body) for row in self.rows]
        known = {"packets": packets, "total": self.total, "limit": query.limit, "offset": query.offset}
        return {**known, "next_cursor": next_cursor}


def awaiting(connection: Connection, tenant: str, *, limit: int, offset: int = 0) -> Page:
    """Return the packets that wait for a person, oldest first."""
    oldest_first = (_PACKET.created_at, _PACKET.id)
    return _page(connection, [_PACKET.tenant == tenant, _PACKET.status == _AWAITING], oldest_first, limit, offset)


def of_run(connection: Connection, tenant: str, run_id: str, *, limit: int = 100) -> list[dict[str, Any]]:
    """Return the packets that a governed run has handed over, oldest first, as they are on the wire."""
    oldest_first = (_PACKET.created_at, _PACKET.id)
    page = _page(connection, [_PACKET.tenant == tenant, _PACKET.run_id == run_id], oldest_first, limit, 0)
    return [json.loads(row.body) for row in page.rows]


def by_numbers(connection: Connection, numbers: Sequence[int]) -> list[Row[Any]]:
    """Return the packets with these *numbers*, in their order."""
    rows = connection.execute(select(handoff_packets).where(_PACKET.number.in_(numbers)))
    return sorted(rows, key=lambda row: numbers.index(row.number))


def statistics(connection: Connection, tenant: str) -> dict[str, Any]:
    """Return how many packets there are, and how they fare, as it is answered."""
    mine = _PACKET.tenant == tenant
    counted = select(_PACKET.status, func.count().label("number")).where(mine).group_by(_PACKET.status)
    by_status = {row.status: row.number for row in connection.execute(counted)}
    lately = select(func.count()).where(mine, _PACKET.created_at >= time_ns() // 1000 - _DAY)
    waited = select(func.avg(_PACKET.claimed_at - _PACKET.created_at))
    waited = waited.where(mine, _PACKET.claimed_at >= _PACKET.created_at)
    until_claimed = connection.execute(waited).scalar()
    return {
        "total_packets": sum(by_status.values()),
        "packets_by_status": by_status,
        "packets_last_24h": connection.execute(lately.select_from(handoff_packets)).scalar_one(),
        "avg_claim_time_seconds": None if until_claimed is None else float(until_claimed) / _SECOND,
        "hitl_queue_depth": by_status.get(_AWAITING, 0),
        "active_ws_connections": 0,
    }


def _list(asked: Asked) -> Reply:
    query = asked.query
    conditions = _conditions(asked.tenant, query)
    cursor = query.text("cursor")
    if cursor is not None:
        conditions.append(_after(read_cursor(cursor)))
    newest_first = (_PACKET.created_at.desc(), _PACKET.id.desc())
    offset = 0 if cursor else query.offset
    with asked.read() as connection:
        page = _page(connection, conditions, newest_first, query.limit, offset)
    more = offset + len(page.rows) < page.total and page.rows
    last = Cursor(page.rows[-1].created_at, page.rows[-1].id).written() if more else None
    return Reply(200, page.on_wire(query, next_cursor=last))


def _awaiting(asked: Asked) -> Reply:
    with asked.read() as connection:
        page = awaiting(connection, asked.tenant, limit=asked.query.limit, offset=asked.query.offset)
    return Reply(200, page.on_wire(asked.query))


def _statistics(asked: Asked) -> Reply:
    with asked.read() as connection:
        return Reply(200, statistics(connection, asked.tenant))


def _page(
    connection: Connection, conditions: Sequence[Condition], order: Sequence[Any], limit: int, offset: int
) -> Page:
    rows = connection.execute(select(handoff_packets).where(*conditions).order_by(*order).limit(limit).offset(offset))
    found = rows.all()
    total = connection.execute(select(func.count()).select_from(handoff_packets).where(*conditions)).scalar_one()
    return Page(rows=found, total=total)


def _conditions(tenant: str, query: Query) -> list[Condition]:
    """Return what the packets have to be that *query* asks for."""
    statuses = query.words("status")
    conditions: list[Condition] = [_PACKET.tenant == tenant]
    if statuses:
        conditions.append(_PACKET.status.in_(statuses))
    # Who asks for what has expired gets what was deleted, too.
    if _EXPIRED not in statuses:
        conditions.append(_PACKET.deleted.is_(False))
    for name in ("source_agent", "target_agent", "priority"):
        value = query.text(name)
        if value is not None:
            conditions.append(_PACKET[name] == value)
    return [*conditions, *_tagged(query), *_made(query)]


def _tagged(query: Query) -> list[Condition]:
    tagged = select(handoff_tags.c.packet_number)
    return [_PACKET.number.in_(tagged.where(handoff_tags.c.tag == tag)) for tag in query.words("tags")]


def _made(query: Query) -> list[Condition]:
    after, before = query.moment("created_after"), query.moment("created_before")
    conditions: list[Condition] = []
    if after is not None:
        conditions.append(_PACKET.created_at >= microseconds(after))
    if before is not None:
        conditions.append(_PACKET.created_at <= microseconds(before))
    return conditions


def _after(cursor: Cursor) -> Condition:
    same_time = and_(_PACKET.created_at == cursor.created_at, _PACKET.id < cursor.id)
    return or_(_PACKET.created_at < cursor.created_at, same_time)


ROUTES = (
    Route("GET", "packets", "reader", _list),
    Route("GET", "packets/awaiting", "reader", _awaiting),
    Route("GET", "stats", "admin", _statistics),
)
