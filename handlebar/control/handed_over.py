"""What a run has handed over, and the runs that it goes on from or that go on with it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from attrs import frozen
from sqlalchemy import Connection, select

from handlebar.control.handoffs import listing
from handlebar.control.tables import handoff_happenings, handoff_packets

_CHAINED = "chained"


@frozen(kw_only=True)
class HandedOver:
    """
    A packet that a run has made.

    Attributes:
        packet: As it is on the wire.

        before: The run that has made the packet which this one follows, where there is one.

        after: The runs that have made packets which follow this one.
    """

    packet: Mapping[str, Any]
    before: str | None
    after: tuple[str, ...]


def by_run(connection: Connection, tenant: str, run_id: str) -> list[HandedOver]:
    """Return what the run has handed over, oldest first."""
    packets = listing.of_run(connection, tenant, run_id)
    if not packets:  # to look for what follows none, SQLite would read all that ever happened
        return []
    children = _children(connection, tenant, [packet["id"] for packet in packets])
    parents = {packet["id"]: packet.get("parent_packet_id") for packet in packets}
    runs = _runs(connection, tenant, {*filter(None, parents.values()), *(child for _, child in children)})
    return [
        HandedOver(
            packet=packet,
            before=runs.get(parents[packet["id"]] or ""),
            after=tuple(runs[child] for parent, child in children if parent == packet["id"] and child in runs),
        )
        for packet in packets
    ]


def _children(connection: Connection, tenant: str, packet_ids: Collection[str]) -> list[tuple[str, str]]:
    """Return pairs of a packet and one that follows it."""
    told = handoff_happenings.c
    query = select(told.packet_id, told.details).where(told.packet_id.in_(packet_ids), told.tenant == tenant)
    rows = connection.execute(query.where(told.event_type == _CHAINED).order_by(told.seq))
    return [(row.packet_id, json.loads(row.details)["child_packet_id"]) for row in rows]


def _runs(connection: Connection, tenant: str, packet_ids: Collection[str]) -> dict[str, str]:
    """Return the runs that have made these packets, by packet."""
    packet = handoff_packets.c
    query = select(packet.id, packet.run_id).where(packet.id.in_(packet_ids), packet.tenant == tenant)
    return {row.id: row.run_id for row in connection.execute(query.where(packet.run_id.is_not(None)))}
