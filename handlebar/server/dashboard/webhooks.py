"""Webhooks, for admins: who is told of what, and what could not be told."""

from __future__ import annotations

from typing import Any

from handlebar.handoff.models.words import WebhookEvent
from handlebar.server.dashboard.handoffs import asked
from handlebar.server.dashboard.pages import Page, Visit, go_to, show

_EVENTS = tuple(event.value for event in WebhookEvent)
_AT_ONCE = (("limit", "100"),)


def _webhooks(visit: Visit) -> str:
    hooks = asked(visit, ("hooks",))
    return show(
        "webhooks.html",
        visit,
        hooks=[hook for hook in hooks if hook["active"]],
        urls={hook["id"]: hook["url"] for hook in hooks},
        letters=asked(visit, ("hooks", "dlq"), _AT_ONCE),
        events=_EVENTS,
    )


def _add(visit: Visit) -> Any:
    told = {"url": visit.field("url"), "secret": visit.field("secret"), "events": visit.request.form.getlist("events")}
    asked(visit, ("hooks",), method="POST", body=told)
    return go_to("webhooks", said="Added: it is told what happens from now on.")


def _delete(visit: Visit) -> Any:
    asked(visit, ("hooks", visit.names["webhook_id"]), method="DELETE")
    return go_to("webhooks", said="Deleted: it is told nothing more.")


def _replay(visit: Visit) -> Any:
    asked(visit, ("hooks", "dlq", visit.names["delivery_id"], "replay"), method="POST")
    return go_to("webhooks", said="It is delivered once more.")


def _replay_all(visit: Visit) -> Any:
    number = asked(visit, ("hooks", "dlq", "retry-all"), method="POST")["retried"]
    return go_to("webhooks", said=f"Delivered once more: {number}.")


PAGES = (
    Page("GET", "/webhooks", "webhooks", _webhooks, changes=True),
    Page("POST", "/webhooks", "webhook_add", _add, changes=True),
    Page("POST", "/webhooks/dead-letters", "webhook_replay_all", _replay_all, changes=True),
    Page("POST", "/webhooks/dead-letters/<delivery_id>", "webhook_replay", _replay, changes=True),
    Page("POST", "/webhooks/<webhook_id>/delete", "webhook_delete", _delete, changes=True),
)
