"""
The life of a packet: what may become of it, and what it then is.

Pure: packets in, packets out; no clock, no database. What may not happen raises `ProblemError`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from attrs import evolve

from handlebar.control.handoffs.drafts import Change, Draft
from handlebar.control.handoffs.problems import ProblemError, misfit
from handlebar.handoff.models.packets import HitlRespondRequest, PacketResponse
from handlebar.handoff.models.parts import Decision, HitlCheckpoint, TargetAgentInfo
from handlebar.handoff.models.words import PacketStatus

_CREATED, _CLAIMED, _IN_PROGRESS = PacketStatus.CREATED, PacketStatus.CLAIMED, PacketStatus.IN_PROGRESS
_AWAITING, _COMPLETED = PacketStatus.AWAITING_HUMAN, PacketStatus.COMPLETED
_FAILED, _EXPIRED = PacketStatus.FAILED, PacketStatus.EXPIRED

NEXT: Mapping[PacketStatus, frozenset[PacketStatus]] = {
    _CREATED: frozenset({_CLAIMED, _AWAITING, _FAILED, _EXPIRED}),
    _CLAIMED: frozenset({_IN_PROGRESS, _AWAITING, _FAILED, _EXPIRED}),
    _IN_PROGRESS: frozenset({_COMPLETED, _AWAITING, _FAILED, _EXPIRED}),
    _AWAITING: frozenset({_CLAIMED, _IN_PROGRESS, _FAILED, _EXPIRED}),
    _COMPLETED: frozenset({_EXPIRED}),
    _FAILED: frozenset({_EXPIRED}),
    _EXPIRED: frozenset(),
}
"""What a packet may become, by what it is."""

LIFETIME = timedelta(hours=24)
"""A packet that nobody has touched for so long expires."""

_LONGEST_WAIT = 100 * 365 * 24 * 3600


def begun(draft: Draft, *, packet_id: str, at: datetime) -> PacketResponse:
    """Return the packet that *draft* becomes; a person who has to be asked first has not answered yet."""
    hitl = None if draft.hitl is None else _unanswered(draft.hitl)
    return PacketResponse(
        id=UUID(packet_id),
        parent_packet_id=draft.parent_packet_id,
        metadata=draft.metadata,
        context=draft.context,
        decisions=_merged((), draft.decisions),
        actions=draft.actions,
        dependencies=draft.dependencies,
        hitl=hitl,
        status=_AWAITING if hitl is not None and hitl.required else _CREATED,
        created_at=at,
        updated_at=at,
    )


def chained(draft: Draft, parent: PacketResponse) -> Draft:
    """Return *draft* on top of *parent*, whose conversation goes before its own."""
    conversation = [*parent.context.conversation_state, *draft.context.conversation_state]
    return evolve(draft, parent_packet_id=parent.id, context=evolve(draft.context, conversation_state=conversation))


def claimed(packet: PacketResponse, claimer: TargetAgentInfo, at: datetime) -> PacketResponse:
    """
    Return the packet with *claimer* as the one who has taken over.

    Raises:
        ProblemError: It has expired (410), somebody has claimed it (409), or it cannot be claimed (400).
    """
    if packet.status is _EXPIRED:
        raise ProblemError(410, f"The packet {packet.id} has expired")
    if packet.status is _CLAIMED:
        claimant = packet.metadata.target_agent.to_dict(nulls=True)
        raise ProblemError(409, {"message": f"The packet {packet.id} is claimed already", "claimed_by": claimant})
    _check_move(packet, _CLAIMED)
    metadata = evolve(packet.metadata, target_agent=claimer, claimed_at=at)
    return evolve(packet, status=_CLAIMED, metadata=metadata, updated_at=at)


def answered(packet: PacketResponse, answer: HitlRespondRequest, at: datetime) -> PacketResponse:
    """
    Return the packet with a person's answer; its work can go on.

    Raises:
        ProblemError: It does not wait for one (409), has no question (400), or not with this answer (422).
    """
    if packet.status is not _AWAITING:
        raise ProblemError(409, f"The packet {packet.id} does not wait for a person: it is {packet.status}")
    if packet.hitl is None:
        raise ProblemError(400, f"The packet {packet.id} has no question to a person (hitl)")
    if packet.hitl.options and answer.response not in packet.hitl.options:
        allowed = f"needs one of {', '.join(map(repr, packet.hitl.options))}"
        raise misfit(("body", "response"), allowed, kind="enum", given=answer.response)
    hitl = evolve(
        packet.hitl,
        response=answer.response,
        responded_at=at,
        responded_by=answer.responded_by,
        notes=answer.notes or None,
    )
    metadata = evolve(packet.metadata, claimed_at=at)
    return evolve(packet, status=_CLAIMED, hitl=hitl, metadata=metadata, updated_at=at)


def changed(packet: PacketResponse, change: Change, at: datetime) -> PacketResponse:
    """
    Return the packet with *change* in it.

    Raises:
        ProblemError: It may not become that (400), or its question may not be changed while it is open (409).
    """
    hitl = packet.hitl if change.hitl is None else _asked_anew(packet, change.hitl)
    after = packet if change.status is None else moved(packet, change.status, at)
    if after.status is _AWAITING and packet.status is not _AWAITING and hitl is not None:
        hitl = _unanswered(hitl)
    return evolve(
        after,
        context=change.context or packet.context,
        decisions=_merged(packet.decisions, change.decisions or ()),
        actions=change.actions or packet.actions,
        dependencies=packet.dependencies if change.dependencies is None else change.dependencies,
        hitl=hitl,
        updated_at=at,
    )


def moved(packet: PacketResponse, status: PacketStatus, at: datetime) -> PacketResponse:
    """
    Return the packet with another *status*; with its own it stays as it is.

    Raises:
        ProblemError: It may not become that (400).
    """
    if packet.status is status:
        return packet
    _check_move(packet, status)
    completed_at = at if status is _COMPLETED else packet.metadata.completed_at
    metadata = evolve(packet.metadata, completed_at=completed_at)
    return evolve(packet, status=status, metadata=metadata, updated_at=at)


def due_at(packet: PacketResponse, waiting_since: datetime | None) -> datetime | None:
    """Return when the packet expires by itself; None for never. *waiting_since* is when a person was asked."""
    if packet.status in (_COMPLETED, _EXPIRED):
        return None
    if waiting_since is not None and times_out(packet):
        assert packet.hitl is not None
        seconds = min(max(packet.hitl.timeout_seconds or 0, 0), _LONGEST_WAIT)
        return waiting_since + timedelta(seconds=seconds)
    return packet.updated_at + LIFETIME


def times_out(packet: PacketResponse) -> bool:
    """Whether the packet waits for a person, and not for ever."""
    return packet.status is _AWAITING and packet.hitl is not None and packet.hitl.timeout_seconds is not None


def has_open_question(packet: PacketResponse) -> bool:
    """Whether only a person's answer lets the packet's work go on."""
    hitl = packet.hitl
    return packet.status is _AWAITING and hitl is not None and hitl.required and hitl.responded_at is None


def _check_move(packet: PacketResponse, status: PacketStatus) -> None:
    if status not in NEXT[packet.status]:
        raise ProblemError(400, f"A packet that is {packet.status} cannot become {status}")
    if status in (_CLAIMED, _IN_PROGRESS) and has_open_question(packet):
        raise ProblemError(400, f"The packet {packet.id} waits for a person; only their answer lets it go on")


def _asked_anew(packet: PacketResponse, hitl: HitlCheckpoint) -> HitlCheckpoint:
    """Return *hitl* with the answer that a person has given to the same question, and none that an agent sends."""
    if packet.hitl is not None and _unanswered(packet.hitl) == _unanswered(hitl):
        return packet.hitl
    if has_open_question(packet):
        raise ProblemError(409, f"The packet {packet.id} has an open question, which cannot be changed")
    return _unanswered(hitl)


def _unanswered(hitl: HitlCheckpoint) -> HitlCheckpoint:
    return evolve(hitl, response=None, responded_at=None, responded_by=None, notes=None)


def _merged(known: Iterable[Decision], given: Iterable[Decision]) -> list[Decision]:
    """Return the decisions, *given* ones in place of those that have the same id."""
    return list({each.id: each for each in (*known, *given)}.values())
