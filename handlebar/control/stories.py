"""Stories: runs that hand-offs link, the packets between them, and what people answered on the way."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from attrs import frozen
from sqlalchemy import Connection, Subquery, select

from handlebar.control import approvals, audit, runs
from handlebar.control.agents import of_tenant
from handlebar.control.approvals import ApprovalRecord
from handlebar.control.audit import StoredEvent
from handlebar.control.handoffs import happenings, listing, storing
from handlebar.control.handoffs.problems import ProblemError
from handlebar.control.handoffs.wording import packet_on_wire
from handlebar.control.runs import RunView
from handlebar.control.tables import events
from handlebar.control.tables import runs as all_runs

_MESSAGE = "message.raw.created"
"""The kind of event in which a run says that it hands over, or goes on with a packet."""

_MOST_RUNS = 50
"""So many runs of a story are followed; whoever hands over in a circle does so for ever."""


@frozen(kw_only=True)
class Story:
    """
    What belongs together.

    Attributes:
        runs: The runs, in the order in which they were started.

        events: What is in their audit trails, in the order in which it was recorded.

        packets: Each as it is on the wire, and with its `history`; oldest first.

        approvals: What people were asked in these runs, oldest first.
    """

    runs: tuple[RunView, ...]
    events: tuple[StoredEvent, ...]
    packets: tuple[dict[str, Any], ...]
    approvals: tuple[ApprovalRecord, ...]


def story_of(connection: Connection, tenant: str, run_id: str) -> Story:
    """
    Return the run of that id, and whatever hand-offs link to it, in either direction.

    A packet names the run that made it; a run that goes on with a packet says so in its audit trail.
    """
    packets: dict[str, dict[str, Any]] = {}
    found: list[str] = []
    waiting = [run_id]
    while waiting and len(found) < _MOST_RUNS:
        current = waiting.pop(0)
        if current in found:
            continue
        found.append(current)
        for packet in _packets(connection, tenant, current):
            if packet["id"] not in packets:
                packets[packet["id"]] = packet
                waiting += _runs_of(connection, tenant, packet)
    return Story(
        runs=_by_start([run for each in found for run in runs.of_id(connection, tenant, each)]),
        events=tuple(_events(connection, tenant, found)),
        packets=tuple(_told(connection, packet) for packet in _by_creation(packets)),
        approvals=tuple(approvals.of_runs(connection, tenant, found)),
    )


def _packets(connection: Connection, tenant: str, run_id: str) -> Iterator[dict[str, Any]]:
    """Yield the packets that a run made, and those that it goes on with."""
    yield from listing.of_run(connection, tenant, run_id)
    for event in audit.stored(connection, tenant, run_id, [_MESSAGE]):
        packet_id = _named_in(event.read())
        if packet_id is not None:
            yield from _packet(connection, tenant, packet_id)


def _named_in(body: Any) -> str | None:
    """Return the packet that an event tells of; events that others have sent may be of any form."""
    data = body.get("data") if isinstance(body, dict) else None
    tags = data.get("tags") if isinstance(data, dict) else None
    if not isinstance(data, dict) or tags != ["handoff"]:
        return None
    try:
        named = json.loads(data["content"])["handoff"]["packetId"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return named if isinstance(named, str) else None


def _packet(connection: Connection, tenant: str, packet_id: str) -> Iterator[dict[str, Any]]:
    try:
        yield packet_on_wire(storing.find(connection, tenant, packet_id).packet)
    except ProblemError:  # another tenant's, or nobody's
        return


def _runs_of(connection: Connection, tenant: str, packet: dict[str, Any]) -> list[str]:
    """Return the run that made a packet, and those of its session that name the packet."""
    link = packet["context"]["custom"].get("handlebar")
    maker = link.get("run_id") if isinstance(link, dict) else None
    if not isinstance(link, dict) or not isinstance(maker, str):
        return []
    told = link.get("session_id")
    session = told if isinstance(told, str) else maker
    near = _near(tenant, maker, session)
    of_them = (events.c.agent_id == near.c.agent_id, events.c.run_id == near.c.id)
    query = select(events.c.run_id).where(
        *of_them, events.c.kind == _MESSAGE, events.c.body.contains(packet["id"], autoescape=True)
    )
    return [maker, *connection.execute(query.distinct().limit(_MOST_RUNS)).scalars()]


def _near(tenant: str, maker: str, session: str) -> Subquery:
    """Return the keys of a run and of those in its session; one after the other, for which there are indexes."""
    keys = select(all_runs.c.agent_id, all_runs.c.id).where(all_runs.c.agent_id.in_(of_tenant(tenant)))
    return keys.where(all_runs.c.id == maker).union(keys.where(all_runs.c.session_id == session)).subquery()


def _events(connection: Connection, tenant: str, run_ids: Sequence[str]) -> Iterator[StoredEvent]:
    query = select(events).where(events.c.agent_id.in_(of_tenant(tenant)), events.c.run_id.in_(run_ids))
    for row in connection.execute(query.order_by(events.c.seq)):
        yield audit.stored_event(row)


def _told(connection: Connection, packet: dict[str, Any]) -> dict[str, Any]:
    return {**packet, "history": happenings.history(connection, packet["id"])}


def _by_start(found: Sequence[RunView]) -> tuple[RunView, ...]:
    return tuple(sorted(found, key=lambda run: (run.started_at, run.run_id)))


def _by_creation(packets: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(packets.values(), key=lambda packet: (packet["created_at"], packet["id"]))
