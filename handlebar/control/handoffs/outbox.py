"""The outbox: what happened, written down in the transaction in which it happened, for those who want to be told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from attrs import Factory, frozen
from sqlalchemy import Connection, insert, select

from handlebar._plumbing import safe_json
from handlebar._plumbing.clock import time_ns
from handlebar.control.dialects import number_in_order
from handlebar.control.moments import moment
from handlebar.control.tables import handoff_deliveries, handoff_outbox, handoff_webhooks


@frozen(kw_only=True)
class Event:
    """
    Something that happened.

    Attributes:
        type: E.g. `packet.created`.

        packet_id: The packet that it is about; None where it is about none.

        status: That of the packet, or of whatever it is about, by now.

        agents: The ids of the agents between whom it happened, for who listens to one of them.

        metadata: The packet's, as it is on the wire.

        details: What else there is to tell, by name: streams tell it within `data`, webhooks as `details`.
    """

    type: str
    packet_id: str | None
    status: str | None
    agents: Sequence[str] = ()
    metadata: Mapping[str, Any] = Factory(dict)
    details: Mapping[str, Any] = Factory(dict)


def append(connection: Connection, tenant: str, event: Event) -> None:
    """
    Write *event* down, and for each webhook that wants to be told, that it has to be.

    Call it in the transaction in which it happens: then nothing is told that did not happen, and nothing is forgotten.
    """
    number_in_order(connection)
    now = time_ns() // 1000
    row = {"tenant": tenant, "type": event.type, "packet_id": event.packet_id, "status": event.status, "at": now}
    data = safe_json.encode({**event.details, "status": event.status, "metadata": event.metadata})
    connection.execute(insert(handoff_outbox).values(**row, agents=list(event.agents), data=data))
    due = [_delivery(tenant, hook, event, now) for hook in _told(connection, tenant, event.type)]
    if due:
        connection.execute(insert(handoff_deliveries), due)


def _told(connection: Connection, tenant: str, kind: str) -> list[str]:
    """Return the ids of the tenant's webhooks that want to be told of events of that *kind*."""
    active = (handoff_webhooks.c.tenant == tenant, handoff_webhooks.c.active)
    rows = connection.execute(select(handoff_webhooks.c.id, handoff_webhooks.c.events).where(*active))
    return [row.id for row in rows if kind in row.events]


def _delivery(tenant: str, webhook_id: str, event: Event, now: int) -> dict[str, Any]:
    return {
        "id": str(uuid4()),
        "tenant": tenant,
        "webhook_id": webhook_id,
        "packet_id": event.packet_id,
        "event_type": event.type,
        "body": _body(event, moment(now)),
        "status": "pending",
        "attempts": 0,
        "next_at": now,
        "created_at": now,
        "updated_at": now,
    }


def _body(event: Event, at: datetime) -> str:
    told = {"event": event.type, "timestamp": at, "packet_id": event.packet_id, "status": event.status}
    details = {"details": event.details} if event.details else {}
    return safe_json.encode({**told, "metadata": event.metadata, **details})
