"""What happens to packets: their history, told on to whoever wants to know."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, insert, select

from handlebar._plumbing import safe_json
from handlebar._plumbing.identifiers import uuid7
from handlebar.control.handoffs import outbox
from handlebar.control.handoffs.outbox import Event
from handlebar.control.handoffs.wording import bare_stamp
from handlebar.control.moments import microseconds
from handlebar.control.tables import handoff_happenings
from handlebar.handoff.models.packets import PacketResponse


def note(connection: Connection, tenant: str, packet: PacketResponse, kind: str, actor: str, **details: Any) -> None:
    """Write into the history that something of that *kind* has happened to *packet*, which is now as it is."""
    row = {
        "id": uuid7(),
        "tenant": tenant,
        "packet_id": str(packet.id),
        "event_type": kind,
        "actor": actor,
        "details": safe_json.encode(details),
        "at": microseconds(packet.updated_at),
    }
    connection.execute(insert(handoff_happenings).values(row))


def tell(connection: Connection, tenant: str, packet: PacketResponse, kind: str, **details: Any) -> None:
    """Tell streams and webhooks of an event of that *kind*, e.g. `packet.created`."""
    metadata = packet.metadata
    event = Event(
        type=kind,
        packet_id=str(packet.id),
        status=packet.status.value,
        agents=list(dict.fromkeys((metadata.source_agent.id, metadata.target_agent.id))),
        metadata=metadata.to_dict(nulls=True),
        details=details,
    )
    outbox.append(connection, tenant, event)


def history(connection: Connection, packet_id: str) -> list[dict[str, Any]]:
    """Return all that has happened to a packet, oldest first, as it is answered."""
    query = select(handoff_happenings).where(handoff_happenings.c.packet_id == packet_id)
    rows = connection.execute(query.order_by(handoff_happenings.c.seq))
    return [
        {
            "id": row.id,
            "packet_id": row.packet_id,
            "event_type": row.event_type,
            "actor": row.actor,
            "details": json.loads(row.details),
            "timestamp": bare_stamp(row.at),
        }
        for row in rows
    ]
