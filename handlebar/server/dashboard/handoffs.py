"""Hand-offs: packets by status, and one packet with its chain and history."""

from __future__ import annotations

import json
from typing import Any

from handlebar.errors import RefusedError
from handlebar.handoff.exchange import Call
from handlebar.server.dashboard.pages import Page, Visit, show

STATUSES = ("created", "claimed", "in_progress", "awaiting_human", "completed", "failed", "expired")


def _handoffs(visit: Visit) -> str:
    status, cursor = visit.argument("status"), visit.argument("cursor")
    query = [("limit", "50"), ("status", status), ("cursor", cursor)]
    found = _asked(visit, ("packets",), tuple((name, value) for name, value in query if value))
    return show(
        "handoffs.html", visit, packets=found["packets"], next_cursor=found.get("next_cursor"), statuses=STATUSES
    )


def _packet(visit: Visit) -> Any:
    packet_id = visit.names["packet_id"]
    packet = _asked(visit, ("packets", packet_id))
    history = _asked(visit, ("packets", packet_id, "history"))["events"]
    return show("packet.html", visit, packet=packet, history=history)


def _asked(visit: Visit, path: tuple[str, ...], query: tuple[tuple[str, str], ...] = ()) -> Any:
    """Return what the hand-off API answers to the visitor's key."""
    answer = visit.house.handoffs.answer(Call(method="GET", path=path, query=query), visit.session.key)
    told = json.loads(answer.body)
    if answer.status != 200:
        raise RefusedError("There is no such packet", status=answer.status)
    return told


PAGES = (
    Page("GET", "/handoffs", "handoffs", _handoffs),
    Page("GET", "/handoffs/<packet_id>", "packet", _packet),
)
