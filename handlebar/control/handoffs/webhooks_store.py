"""Webhooks as the database keeps them: who wants to be told of what, and what became of each delivery."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Row, insert, select, update

from handlebar._plumbing.clock import time_ns
from handlebar.control.handoffs.sealing import sealed
from handlebar.control.moments import moment
from handlebar.control.tables import handoff_deliveries, handoff_webhooks
from handlebar.errors import RefusedError
from handlebar.handoff.models.webhooks import WebhookDelivery, WebhookResponse

STATUSES = ("pending", "failed", "delivered", "dead_letter")
"""Of a delivery: not tried yet, to be tried again, done, given up."""

MOST_WEBHOOKS = 100
"""So many may a tenant have: each event looks at all of them."""

MOST_RETRIED = 100

_HOOK = handoff_webhooks.c
_DELIVERY = handoff_deliveries.c


def register(connection: Connection, tenant: str, *, url: str, events: Sequence[str], secret: str) -> WebhookResponse:
    """
    Make a webhook; that *url* may be called is checked before.

    Raises:
        RefusedError: The tenant has 100 already (409).
    """
    if sum(each.active for each in listed(connection, tenant)) >= MOST_WEBHOOKS:
        raise RefusedError(f"There are {MOST_WEBHOOKS} webhooks already; delete one first", status=409)
    made = str(uuid4())
    known = {"id": made, "tenant": tenant, "url": url, "events": list(dict.fromkeys(events)), "secret": sealed(secret)}
    connection.execute(insert(handoff_webhooks).values(**known, active=True, created_at=time_ns() // 1000))
    return find(connection, tenant, made)


def find(connection: Connection, tenant: str, webhook_id: str) -> WebhookResponse:
    """
    Return the webhook of that id, a deleted one too.

    Raises:
        RefusedError: The tenant has none (404).
    """
    row = connection.execute(select(handoff_webhooks).where(_HOOK.id == webhook_id, _HOOK.tenant == tenant)).first()
    if row is None:
        raise RefusedError(f"There is no webhook with the id {webhook_id!r}", status=404)
    return _webhook(row)


def listed(connection: Connection, tenant: str) -> list[WebhookResponse]:
    """Return the tenant's webhooks, newest first; deleted ones too."""
    query = select(handoff_webhooks).where(_HOOK.tenant == tenant)
    return [_webhook(row) for row in connection.execute(query.order_by(_HOOK.created_at.desc(), _HOOK.id.desc()))]


def delete(connection: Connection, tenant: str, webhook_id: str) -> None:
    """
    Let a webhook be told nothing more; what was still to be delivered is given up.

    Raises:
        RefusedError: The tenant has none of that id (404); it is deleted already (409).
    """
    if not find(connection, tenant, webhook_id).active:
        raise RefusedError(f"The webhook {webhook_id} is deleted already", status=409)
    connection.execute(update(handoff_webhooks).where(_HOOK.id == webhook_id).values(active=False))
    given_up = {"status": "dead_letter", "last_error": "The webhook was deleted", "next_at": None, "lease": None}
    waiting = (_DELIVERY.webhook_id == webhook_id, _DELIVERY.next_at.is_not(None))
    connection.execute(update(handoff_deliveries).where(*waiting).values(**given_up, updated_at=time_ns() // 1000))


def deliveries(
    connection: Connection, tenant: str, webhook_id: str, *, status: str | None, limit: int, offset: int
) -> list[WebhookDelivery]:
    """
    Return what a webhook was told, newest first.

    Raises:
        RefusedError: The tenant has none of that id (404).
    """
    find(connection, tenant, webhook_id)
    query = select(handoff_deliveries).where(_DELIVERY.webhook_id == webhook_id)
    if status is not None:
        query = query.where(_DELIVERY.status == status)
    rows = connection.execute(query.order_by(_DELIVERY.number.desc()).limit(limit).offset(offset))
    return [_delivery(row) for row in rows]


def dead_letters(connection: Connection, tenant: str, *, limit: int, offset: int) -> list[WebhookDelivery]:
    """Return what was given up, newest first."""
    query = select(handoff_deliveries).where(_DELIVERY.tenant == tenant, _DELIVERY.status == "dead_letter")
    rows = connection.execute(query.order_by(_DELIVERY.number.desc()).limit(limit).offset(offset))
    return [_delivery(row) for row in rows]


def replay(connection: Connection, tenant: str, delivery_id: str) -> None:
    """
    Deliver once more, from the first attempt on, what was given up.

    Raises:
        RefusedError: The tenant has no such dead letter (404); its webhook is deleted (409).
    """
    mine = (_DELIVERY.id == delivery_id, _DELIVERY.tenant == tenant, _DELIVERY.status == "dead_letter")
    row = connection.execute(select(handoff_deliveries).where(*mine)).first()
    if row is None:
        raise RefusedError(f"There is no dead letter with the id {delivery_id!r}", status=404)
    if not find(connection, tenant, row.webhook_id).active:
        raise RefusedError("The webhook of this dead letter is deleted", status=409)
    _begin_again(connection, [row.number])


def retry_all(connection: Connection, tenant: str) -> int:
    """Deliver once more what was given up, the 100 oldest at most, but for deleted webhooks; return how many."""
    active = select(_HOOK.id).where(_HOOK.tenant == tenant, _HOOK.active)
    dead = (_DELIVERY.tenant == tenant, _DELIVERY.status == "dead_letter", _DELIVERY.webhook_id.in_(active))
    query = select(_DELIVERY.number).where(*dead).order_by(_DELIVERY.number).limit(MOST_RETRIED)
    numbers = list(connection.execute(query).scalars())
    _begin_again(connection, numbers)
    return len(numbers)


def _begin_again(connection: Connection, numbers: Sequence[int]) -> None:
    now = time_ns() // 1000
    fresh = {"status": "pending", "attempts": 0, "next_at": now, "updated_at": now}
    connection.execute(update(handoff_deliveries).where(_DELIVERY.number.in_(numbers)).values(fresh))


def _webhook(row: Row[Any]) -> WebhookResponse:
    return WebhookResponse(
        id=row.id,
        url=row.url,
        events=row.events,
        tenant_id=row.tenant,
        active=row.active,
        created_at=moment(row.created_at),
    )


def _delivery(row: Row[Any]) -> WebhookDelivery:
    return WebhookDelivery(
        id=row.id,
        webhook_id=row.webhook_id,
        packet_id=row.packet_id,
        event_type=row.event_type,
        status=row.status,
        attempts=row.attempts,
        last_error=row.last_error,
        last_status_code=row.last_status_code,
        next_retry_at=_moment(row.next_at) if row.status == "failed" else None,
        delivered_at=_moment(row.delivered_at),
        created_at=moment(row.created_at),
        updated_at=moment(row.updated_at),
    )


def _moment(at: int | None) -> datetime | None:
    return None if at is None else moment(at)
