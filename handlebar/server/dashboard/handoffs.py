"""Hand-offs: packets by status, and one packet with its chain and history."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from handlebar.errors import RefusedError
from handlebar.handoff.exchange import Call
from handlebar.server.dashboard.pages import Page, Visit, show

STATUSES = ("created", "claimed", "in_progress", "awaiting_human", "completed", "failed", "expired")


def _handoffs(visit: Visit) -> str:
    status, cursor = visit.argument("status"), visit.argument("cursor")
    query = [("limit", "50"), ("status", status), ("cursor", cursor)]
    found = asked(visit, ("packets",), tuple((name, value) for name, value in query if value))
    return show(
        "handoffs.html", visit, packets=found["packets"], next_cursor=found.get("next_cursor"), statuses=STATUSES
    )


def _packet(visit: Visit) -> Any:
    packet_id = visit.names["packet_id"]
    history = asked(visit, ("packets", packet_id, "history"))["events"]
    return show("packet.html", visit, packet=packet_of(visit, packet_id), history=history)


def packet_of(visit: Visit, packet_id: str) -> Any:
    """Return a packet as it is on the wire; raises RefusedError (404) where there is none."""
    return asked(visit, ("packets", packet_id))


def asked(
    visit: Visit,
    path: tuple[str, ...],
    query: tuple[tuple[str, str], ...] = (),
    *,
    method: str = "GET",
    body: Mapping[str, Any] | None = None,
) -> Any:
    """Return what the hand-off API answers to the visitor's key; raises RefusedError where it refuses."""
    sent = None if body is None else json.dumps(body).encode()
    call = Call(method=method, path=path, query=query, body=sent)
    answer = visit.house.handoffs.answer(call, visit.session.key)
    told: Any = json.loads(answer.body) if answer.body else None
    if answer.status >= 400:
        raise RefusedError(_problem(told["detail"]), status=answer.status)
    return told


def _problem(detail: Any) -> str:
    """Return what is wrong, in words: it comes as text, or as a list of what is wrong where."""
    if isinstance(detail, str):
        return detail
    return "; ".join(f"{each['loc'][-1]}: {each['msg']}" for each in detail)


PAGES = (
    Page("GET", "/handoffs", "handoffs", _handoffs),
    Page("GET", "/handoffs/<packet_id>", "packet", _packet),
)
