"""Webhooks: registered with a URL that may be called, listed, deleted; what became of deliveries; dead letters."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from handlebar.control.handoffs import audit_log
from handlebar.control.handoffs import webhooks_store as store
from handlebar.control.handoffs.asking import Asked, Reply, Route
from handlebar.control.handoffs.problems import misfit
from handlebar.control.handoffs.targets import TargetError, usual_targets
from handlebar.control.handoffs.wording import record_on_wire
from handlebar.handoff.models.webhooks import ReplayResponse, RetryAllResponse, WebhookCreate, WebhookDelivery

_NOT_OF_DEAD_LETTERS = ("status", "next_retry_at", "delivered_at")


def _register(asked: Asked) -> Reply:
    wanted = asked.body(WebhookCreate)
    # Looks the name up: nobody waits for the database meanwhile.
    _check_target(wanted.url)
    events = [event.value for event in wanted.events]

    def work(connection: Connection) -> Reply:
        made = store.register(connection, asked.tenant, url=wanted.url, events=events, secret=wanted.secret)
        audit_log.note(connection, asked, "webhook.created", webhook_id=made.id, url=made.url)
        return Reply(201, record_on_wire(made))

    return asked.change(work)


def _check_target(url: str) -> None:
    try:
        usual_targets().check(url)
    except TargetError as error:
        raise misfit(("body", "url"), str(error)) from error


def _listed(asked: Asked) -> Reply:
    with asked.read() as connection:
        return Reply(200, [record_on_wire(each) for each in store.listed(connection, asked.tenant)])


def _delete(asked: Asked) -> Reply:
    def work(connection: Connection) -> Reply:
        store.delete(connection, asked.tenant, asked.names["webhook_id"])
        audit_log.note(connection, asked, "webhook.deleted", webhook_id=asked.names["webhook_id"])
        return Reply(204)

    return asked.change(work)


def _deliveries(asked: Asked) -> Reply:
    query, webhook_id = asked.query, asked.names["webhook_id"]
    status, limit, offset = query.text("status"), query.limit, query.offset
    with asked.read() as connection:
        found = store.deliveries(connection, asked.tenant, webhook_id, status=status, limit=limit, offset=offset)
    return Reply(200, [record_on_wire(each) for each in found])


def _dead_letters(asked: Asked) -> Reply:
    query = asked.query
    with asked.read() as connection:
        found = store.dead_letters(connection, asked.tenant, limit=query.limit, offset=query.offset)
    return Reply(200, [_dead_letter(each) for each in found])


def _dead_letter(delivery: WebhookDelivery) -> dict[str, Any]:
    members = record_on_wire(delivery)
    return {name: value for name, value in members.items() if name not in _NOT_OF_DEAD_LETTERS}


def _replay(asked: Asked) -> Reply:
    delivery_id = asked.names["delivery_id"]

    def work(connection: Connection) -> Reply:
        store.replay(connection, asked.tenant, delivery_id)
        return Reply(200, ReplayResponse(delivery_id=delivery_id, replayed=True).to_dict())

    return asked.change(work)


def _retry_all(asked: Asked) -> Reply:
    """Let all be delivered once more; what comes of it the delivery log tells, so nothing is known yet."""

    def work(connection: Connection) -> Reply:
        retried = store.retry_all(connection, asked.tenant)
        return Reply(200, RetryAllResponse(retried=retried, succeeded=0, failed=0).to_dict())

    return asked.change(work)


ROUTES = (
    Route("POST", "hooks", "writer", _register),
    Route("GET", "hooks", "writer", _listed),
    Route("GET", "hooks/dlq", "writer", _dead_letters),
    Route("POST", "hooks/dlq/retry-all", "admin", _retry_all),
    Route("POST", "hooks/dlq/{delivery_id}/replay", "writer", _replay),
    Route("DELETE", "hooks/{webhook_id}", "writer", _delete),
    Route("GET", "hooks/{webhook_id}/deliveries", "writer", _deliveries),
)
