"""Packets in the database, each as one row; every change of one is a new value, written as a whole."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from attrs import frozen
from sqlalchemy import Connection, insert, select, update

from handlebar.control.handoffs import life_cycle, searching
from handlebar.control.handoffs.problems import ProblemError
from handlebar.control.handoffs.wording import read, written
from handlebar.control.moments import microseconds, moment
from handlebar.control.tables import handoff_packets, handoff_tags
from handlebar.handoff.models.packets import PacketResponse
from handlebar.handoff.models.words import PacketStatus

_PACKET = handoff_packets.c


@frozen(kw_only=True)
class Stored:
    """
    A packet as the database has it.

    Attributes:
        waiting_since: When it began to wait for a person; None where it does not.

        deleted: Whether somebody has deleted it, which makes it expire too.
    """

    number: int
    tenant: str
    packet: PacketResponse
    waiting_since: datetime | None
    deleted: bool


def find(connection: Connection, tenant: str, packet_id: str) -> Stored:
    """
    Return the packet of that id; in a transaction that writes, nobody else changes it before that is over.

    Raises:
        ProblemError: The tenant has none (404).
    """
    query = select(handoff_packets).where(_PACKET.id == packet_id, _PACKET.tenant == tenant)
    row = connection.execute(query).first()
    if row is None:
        raise ProblemError(404, f"There is no packet with the id {packet_id}")
    return stored(row)


def stored(row: Any) -> Stored:
    """Return the packet in *row*."""
    return Stored(
        number=row.number,
        tenant=row.tenant,
        packet=read(row.body),
        waiting_since=None if row.waiting_since is None else moment(row.waiting_since),
        deleted=row.deleted,
    )


def add(connection: Connection, tenant: str, packet: PacketResponse) -> None:
    """Keep a new packet."""
    waiting_since = packet.created_at if packet.status is PacketStatus.AWAITING_HUMAN else None
    row = {"id": str(packet.id), "tenant": tenant, "created_at": microseconds(packet.created_at), "deleted": False}
    kept = connection.execute(insert(handoff_packets).values(**row, **_columns(packet, waiting_since)))
    number: int = kept.inserted_primary_key[0]  # type: ignore[index]  # a row was made, so it has a key
    tags = [{"packet_number": number, "tag": tag} for tag in dict.fromkeys(packet.metadata.tags)]
    if tags:
        connection.execute(insert(handoff_tags), tags)
    searching.index(connection, number, packet)


def replace(connection: Connection, before: Stored, packet: PacketResponse, *, deleted: bool = False) -> None:
    """Keep *packet* in place of what it was before."""
    values = {**_columns(packet, _waiting_since(before, packet)), "deleted": deleted or before.deleted}
    connection.execute(update(handoff_packets).where(_PACKET.number == before.number).values(values))
    searching.index_again(connection, before.number, before.packet, packet)


def _waiting_since(before: Stored, packet: PacketResponse) -> datetime | None:
    if packet.status is not PacketStatus.AWAITING_HUMAN:
        return None
    return before.waiting_since or packet.updated_at


def _columns(packet: PacketResponse, waiting_since: datetime | None) -> dict[str, Any]:
    """Return what is kept beside the packet itself, to find it by."""
    metadata = packet.metadata
    return {
        "status": packet.status.value,
        "priority": metadata.priority.value,
        "source_agent": metadata.source_agent.id,
        "target_agent": metadata.target_agent.id,
        "run_id": _run_id(packet),
        "body": written(packet),
        "updated_at": microseconds(packet.updated_at),
        "claimed_at": _stamp(metadata.claimed_at),
        "waiting_since": _stamp(waiting_since),
        "due_at": _stamp(life_cycle.due_at(packet, waiting_since)),
    }


def _run_id(packet: PacketResponse) -> str | None:
    """Return the run that the packet comes from, where our own client has noted it."""
    noted = packet.context.custom.get("handlebar")
    run_id = noted.get("run_id") if isinstance(noted, dict) else None
    return run_id if isinstance(run_id, str) else None


def _stamp(when: datetime | None) -> int | None:
    return None if when is None else microseconds(when)
