"""One packet at a time: made, read, changed, claimed, answered, chained, deleted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import uuid4

from attrs import evolve
from sqlalchemy import Connection

from handlebar._plumbing.clock import time_ns
from handlebar.control.handoffs import daily_limits, happenings, life_cycle, schemas, storing
from handlebar.control.handoffs.asking import Asked, Reply, Route
from handlebar.control.handoffs.drafts import Change, Draft
from handlebar.control.handoffs.problems import ProblemError, misfit
from handlebar.control.handoffs.storing import Stored
from handlebar.control.handoffs.wording import packet_on_wire
from handlebar.control.moments import moment
from handlebar.handoff.models.packets import HitlRespondRequest, PacketClaim, PacketResponse
from handlebar.handoff.models.parts import TargetAgentInfo
from handlebar.handoff.models.words import PacketStatus

Work = Callable[[Connection, Stored], PacketResponse]


def now() -> datetime:
    """Return the time as the database keeps it."""
    return moment(time_ns() // 1000)


def make(connection: Connection, tenant: str, draft: Draft, **details: Any) -> PacketResponse:
    """Keep a new packet, note that and tell it; *details* are for its history."""
    packet = life_cycle.begun(draft, packet_id=str(uuid4()), at=now())
    storing.add(connection, tenant, packet)
    happenings.note(connection, tenant, packet, "created", _source(packet), **details)
    happenings.tell(connection, tenant, packet, "packet.created")
    if packet.status is PacketStatus.AWAITING_HUMAN:
        happenings.tell(connection, tenant, packet, "packet.awaiting_human")
    return packet


def claim(connection: Connection, before: Stored, claimer: PacketClaim) -> PacketResponse:
    """Let an agent take a packet over; raises `ProblemError` where it cannot."""
    agent = TargetAgentInfo(id=claimer.agent_id, name=claimer.agent_name, framework=claimer.framework)
    packet = life_cycle.claimed(before.packet, agent, now())
    storing.replace(connection, before, packet)
    details = {"agent_name": agent.name, "framework": agent.framework}
    happenings.note(connection, before.tenant, packet, "claimed", f"agent:{agent.id}", **details)
    happenings.tell(connection, before.tenant, packet, "packet.claimed", **details)
    return packet


def change(connection: Connection, before: Stored, wanted: Change) -> PacketResponse:
    """Change a packet; raises `ProblemError` where that may not be."""
    if before.deleted:
        raise ProblemError(400, f"The packet {before.packet.id} was deleted")
    packet = life_cycle.changed(before.packet, wanted, now())
    storing.replace(connection, before, packet)
    moves = {"from_status": before.packet.status.value, "to_status": packet.status.value}
    if before.packet.status is not packet.status:
        actor = f"agent:{packet.metadata.target_agent.id}"
        happenings.note(connection, before.tenant, packet, packet.status.value, actor, **moves)
    kind = "packet.updated" if wanted.status is None else f"packet.{packet.status}"
    happenings.tell(connection, before.tenant, packet, kind)
    return packet


def respond(connection: Connection, before: Stored, answer: HitlRespondRequest) -> PacketResponse:
    """Take a person's answer; raises `ProblemError` where none is waited for, or not this."""
    packet = life_cycle.answered(before.packet, answer, now())
    storing.replace(connection, before, packet)
    details = {"response": answer.response, "notes": answer.notes, "transition_to": packet.status.value}
    actor = f"human:{answer.responded_by}"
    happenings.note(connection, before.tenant, packet, "hitl_responded", actor, **details)
    happenings.tell(connection, before.tenant, packet, "hitl.response_ready", hitl_response=answer.response)
    return packet


def delete(connection: Connection, before: Stored) -> PacketResponse:
    """Delete a packet: it is kept for the record, and has expired; raises `ProblemError` (409) where it has already."""
    if before.packet.status is PacketStatus.EXPIRED:
        raise ProblemError(409, f"The packet {before.packet.id} has expired already")
    packet = life_cycle.moved(before.packet, PacketStatus.EXPIRED, now())
    storing.replace(connection, before, packet, deleted=True)
    details = {"previous_status": before.packet.status.value, "reason": "soft_delete"}
    happenings.note(connection, before.tenant, packet, "expired", "system:soft_delete", **details)
    happenings.tell(connection, before.tenant, packet, "packet.expired", **details)
    return packet


def chain(connection: Connection, before: Stored, draft: Draft) -> PacketResponse:
    """Make a packet on top of another; raises `ProblemError` (404) where that was deleted."""
    if before.deleted:
        raise ProblemError(404, f"The packet {before.packet.id} was deleted")
    whole = life_cycle.chained(draft, before.packet)
    child = make(connection, before.tenant, whole, parent_packet_id=str(before.packet.id), chain=True)
    # The parent stays as it is; this has happened now all the same.
    parent = evolve(before.packet, updated_at=child.created_at)
    happenings.note(connection, before.tenant, parent, "chained", _source(child), child_packet_id=str(child.id))
    happenings.tell(connection, before.tenant, child, "packet.chained", parent_packet_id=str(before.packet.id))
    return child


def check(asked: Asked, draft: Draft) -> None:
    """Raise `ProblemError` (422) where *draft* is not as the schema says that it names."""
    if draft.schema_id is not None:
        schemas.check_context(asked, draft.schema_id, draft.context.to_dict(nulls=True))


def check_reason(draft: Draft, *place: str | int) -> None:
    """Raise `ProblemError` (422) where a person is to be asked without a reason."""
    if draft.hitl is not None and draft.hitl.required and not draft.hitl.reason.strip():
        raise misfit((*place, "hitl", "reason"), "must not be empty where a person is required", given="")


def _create(asked: Asked) -> Reply:
    draft = asked.body(Draft)
    check_reason(draft, "body")
    check(asked, draft)

    def work(connection: Connection) -> Reply:
        daily_limits.check(connection, asked.tenant)
        return Reply(201, packet_on_wire(make(connection, asked.tenant, draft)))

    return asked.change(work)


def _get(asked: Asked) -> Reply:
    return Reply(200, packet_on_wire(_found(asked)))


def _history(asked: Asked) -> Reply:
    packet_id = asked.uuid("packet_id")
    with asked.read() as connection:
        storing.find(connection, asked.tenant, packet_id)
        return Reply(200, {"packet_id": packet_id, "events": happenings.history(connection, packet_id)})


def _patch(asked: Asked) -> Reply:
    wanted = asked.body(Change)
    return _one(asked, lambda connection, before: change(connection, before, wanted))


def _claim(asked: Asked) -> Reply:
    claimer = asked.body(PacketClaim)
    return _one(asked, lambda connection, before: claim(connection, before, claimer))


def _respond(asked: Asked) -> Reply:
    answer = asked.body(HitlRespondRequest)
    return _one(asked, lambda connection, before: respond(connection, before, answer))


def _chain(asked: Asked) -> Reply:
    draft = asked.body(Draft)
    if draft.schema_id is not None:
        check(asked, life_cycle.chained(draft, _found(asked)))
    return _one(asked, lambda connection, before: chain(connection, before, draft), status=201)


def _delete(asked: Asked) -> Reply:
    _one(asked, delete)
    return Reply(204)


def _found(asked: Asked) -> PacketResponse:
    """Return the packet that the path names."""
    packet_id = asked.uuid("packet_id")
    with asked.read() as connection:
        return storing.find(connection, asked.tenant, packet_id).packet


def _one(asked: Asked, work: Work, *, status: int = 200) -> Reply:
    """Do *work* on the packet that the path names."""
    packet_id = asked.uuid("packet_id")

    def done(connection: Connection) -> Reply:
        before = storing.find(connection, asked.tenant, packet_id)
        return Reply(status, packet_on_wire(work(connection, before)))

    return asked.change(done)


def _source(packet: PacketResponse) -> str:
    return f"agent:{packet.metadata.source_agent.id}"


ROUTES = (
    Route("POST", "packets", "agent", _create),
    Route("GET", "packets/{packet_id}", "reader", _get),
    Route("PATCH", "packets/{packet_id}", "agent", _patch),
    Route("DELETE", "packets/{packet_id}", "agent", _delete),
    Route("POST", "packets/{packet_id}/claim", "agent", _claim),
    Route("POST", "packets/{packet_id}/respond", "agent", _respond),
    Route("POST", "packets/{packet_id}/chain", "agent", _chain),
    Route("GET", "packets/{packet_id}/history", "reader", _history),
)
