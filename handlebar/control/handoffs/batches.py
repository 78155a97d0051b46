"""Packets by the dozen: each is done for itself, all in one transaction, and what cannot be done is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection

from handlebar.control.handoffs import daily_limits, happenings, life_cycle, packets, storing
from handlebar.control.handoffs.asking import Asked, Reply, Route
from handlebar.control.handoffs.bodies import read_as
from handlebar.control.handoffs.drafts import Draft
from handlebar.control.handoffs.problems import ProblemError, misfit
from handlebar.control.handoffs.storing import Stored
from handlebar.control.handoffs.wording import packet_on_wire
from handlebar.handoff.models.batches import MAX_BATCH, BatchClaimRequest, BatchCompleteRequest
from handlebar.handoff.models.packets import PacketClaim, PacketResponse
from handlebar.handoff.models.words import PacketStatus

_ACTOR = "system:batch_complete"


def _create(asked: Asked) -> Reply:
    given = asked.members().get("packets")
    if not isinstance(given, list) or not given:
        raise misfit(("body", "packets"), "needs a list of 1 or more", kind="too_short", given=given)
    if len(given) > MAX_BATCH:
        raise ProblemError(400, f"A batch has {MAX_BATCH} packets at most, not {len(given)}")
    drafts, errors = [], []
    for index, each in enumerate(given):
        try:
            drafts.append(_draft(asked, each, index))
        except ProblemError as problem:
            errors.append({"index": index, "error": problem.words})

    def make(connection: Connection) -> Reply:
        daily_limits.check(connection, asked.tenant)
        made = [packet_on_wire(packets.make(connection, asked.tenant, draft)) for draft in drafts]
        return Reply(201, {"created": made, "errors": errors})

    return asked.change(make)


def _draft(asked: Asked, given: Any, index: int) -> Draft:
    draft = read_as(Draft, given, "body", "packets", index)
    packets.check_reason(draft, "body", "packets", index)
    packets.check(asked, draft)
    return draft


def _claim(asked: Asked) -> Reply:
    wanted = asked.body(BatchClaimRequest)
    claimer = PacketClaim(agent_id=wanted.agent_id, agent_name=wanted.agent_name, framework=wanted.framework)

    def claim(connection: Connection, before: Stored) -> PacketResponse:
        return packets.claim(connection, before, claimer)

    return _each(asked, list(map(str, wanted.packet_ids)), claim, "claimed")


def _complete(asked: Asked) -> Reply:
    return _each(asked, list(map(str, asked.body(BatchCompleteRequest).packet_ids)), _completed, "completed")


def _completed(connection: Connection, before: Stored) -> PacketResponse:
    if before.packet.status is PacketStatus.COMPLETED:
        raise ProblemError(400, f"The packet {before.packet.id} is completed already")
    packet = life_cycle.moved(before.packet, PacketStatus.COMPLETED, packets.now())
    storing.replace(connection, before, packet)
    from_status = before.packet.status.value
    happenings.note(connection, before.tenant, packet, "completed", _ACTOR, from_status=from_status)
    happenings.tell(connection, before.tenant, packet, "packet.completed")
    return packet


def _each(
    asked: Asked, packet_ids: list[str], work: Callable[[Connection, Stored], PacketResponse], done: str
) -> Reply:
    """Do *work* on each packet; an id that comes twice has been worked on when it comes again."""

    def work_on_all(connection: Connection) -> Reply:
        packets_done, errors = [], []
        for packet_id in packet_ids:
            try:
                before = storing.find(connection, asked.tenant, packet_id)
                packets_done.append(packet_on_wire(work(connection, before)))
            except ProblemError as problem:
                errors.append({"packet_id": packet_id, "error": problem.words})
        return Reply(200, {done: packets_done, "errors": errors})

    return asked.change(work_on_all)


ROUTES = (
    Route("POST", "packets/batch", "agent", _create),
    Route("POST", "packets/batch/claim", "agent", _claim),
    Route("POST", "packets/batch/complete", "agent", _complete),
)
