"""The audit log of hand-offs: who did what to packets, and to keys, tenants, webhooks and schemas."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, Select, func, insert, select

from handlebar._plumbing import safe_json
from handlebar._plumbing.clock import time_ns
from handlebar._plumbing.identifiers import uuid7
from handlebar.control.handoffs.asking import Asked, Reply, Route
from handlebar.control.handoffs.queries import Query
from handlebar.control.handoffs.wording import bare_stamp
from handlebar.control.moments import microseconds
from handlebar.control.tables import handoff_happenings

_NO_PACKET = ""
_ROW = handoff_happenings.c


def note(connection: Connection, asked: Asked, action: str, **details: Any) -> None:
    """Write down that the one who asks has done something other than to a packet, e.g. `key.created`."""
    row = {
        "id": uuid7(),
        "tenant": asked.tenant,
        "packet_id": _NO_PACKET,
        "event_type": action,
        "actor": f"key:{asked.key.id}",
        "details": safe_json.encode(details),
        "at": time_ns() // 1000,
    }
    connection.execute(insert(handoff_happenings).values(row))


def _listed(asked: Asked) -> Reply:
    query = asked.query
    limit, offset = query.limit, query.offset
    wanted = _filtered(select(handoff_happenings), asked.tenant, query)
    with asked.read() as connection:
        total = connection.execute(select(func.count()).select_from(wanted.subquery())).scalar_one()
        rows = connection.execute(wanted.order_by(_ROW.seq.desc()).limit(limit).offset(offset))
        entries = [_entry(row) for row in rows]
    return Reply(200, {"entries": entries, "total": total, "limit": limit, "offset": offset})


def _filtered(wanted: Select[Any], tenant: str, query: Query) -> Select[Any]:
    equal = {"actor": _ROW.actor, "action": _ROW.event_type, "packet_id": _ROW.packet_id}
    wanted = wanted.where(_ROW.tenant == tenant)
    for name, column in equal.items():
        if (text := query.text(name)) is not None:
            wanted = wanted.where(column == text)
    if (after := query.moment("created_after")) is not None:
        wanted = wanted.where(_ROW.at >= microseconds(after))
    if (before := query.moment("created_before")) is not None:
        wanted = wanted.where(_ROW.at <= microseconds(before))
    return wanted


def _entry(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "packet_id": row.packet_id,
        "actor": row.actor,
        "action": row.event_type,
        "resource": row.event_type.partition(".")[0] if row.packet_id == _NO_PACKET else "packet",
        "details": json.loads(row.details),
        "timestamp": bare_stamp(row.at),
    }


ROUTES = (Route("GET", "audit", "reader", _listed),)
