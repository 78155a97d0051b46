"""Packets: what is sent to make or change one, and what comes back."""

from datetime import datetime
from typing import Any
from uuid import UUID

from attrs import Attribute, Factory, field, frozen

from handlebar.handoff.exceptions import invalid
from handlebar.handoff.models.base import Model, checked
from handlebar.handoff.models.parts import Actions, Decision, Dependency, HitlCheckpoint, Metadata, PacketContext
from handlebar.handoff.models.words import PacketStatus


def _filled(place: str, value: str) -> None:
    if not value.strip():
        raise invalid(place, "must not be empty")


def _addressed(_: Model, attribute: "Attribute[Any]", metadata: Metadata) -> None:
    """Refuse agents without an id or a name; one that comes back from a server may have none."""
    for side in ("source_agent", "target_agent"):
        for part in ("id", "name"):
            _filled(f"{attribute.name}.{side}.{part}", getattr(getattr(metadata, side), part))


def _summed_up(_: Model, attribute: "Attribute[Any]", context: PacketContext | None) -> None:
    if context is not None:
        _filled(f"{attribute.name}.summary", context.summary)


def _named(_: Model, attribute: "Attribute[Any]", parts: list[Any] | None) -> None:
    for place, part in enumerate(parts or ()):
        _filled(f"{attribute.name}.{place}.id", part.id)


def _all_named(model: Model, attribute: "Attribute[Any]", actions: Actions | None) -> None:
    for state in ("pending", "completed", "failed"):
        for place, action in enumerate(getattr(actions, state, ())):
            _filled(f"{attribute.name}.{state}.{place}.id", action.id)


def _reasoned(_: Model, attribute: "Attribute[Any]", hitl: HitlCheckpoint | None) -> None:
    if hitl is not None and hitl.required:
        _filled(f"{attribute.name}.reason", hitl.reason)


@frozen(kw_only=True, field_transformer=checked)
class ChainHandoffRequest(Model):
    """What is sent to hand over again, on top of another packet."""

    metadata: Metadata = field(validator=_addressed)
    context: PacketContext = field(validator=_summed_up)
    decisions: list[Decision] = field(factory=list, validator=_named)
    actions: Actions = field(factory=Actions, validator=_all_named)
    dependencies: list[Dependency] = field(factory=list, validator=_named)
    hitl: HitlCheckpoint | None = field(default=None, validator=_reasoned)
    schema_id: str | None = None


@frozen(kw_only=True, field_transformer=checked)
class PacketCreate(ChainHandoffRequest):
    """What is sent to make a packet; `builder()` writes one step by step."""

    parent_packet_id: UUID | None = None

    @staticmethod
    def builder() -> Any:
        """Return a new `PacketBuilder`."""
        # It builds these, so this module cannot import it before they exist.
        from handlebar.handoff.builder import PacketBuilder

        return PacketBuilder()


HandoffPacket = PacketCreate
"""The guide's name."""


@frozen(kw_only=True, field_transformer=checked)
class PacketUpdate(Model):
    """
    What is sent to change a packet; None leaves alone.

    Attributes:
        decisions: Replace those of the same id; others are added.

        actions: Replace all that there are, of all three kinds.
    """

    status: PacketStatus | None = None
    context: PacketContext | None = field(default=None, validator=_summed_up)
    decisions: list[Decision] | None = field(default=None, validator=_named)
    actions: Actions | None = field(default=None, validator=_all_named)
    dependencies: list[Dependency] | None = field(default=None, validator=_named)
    hitl: HitlCheckpoint | None = field(default=None, validator=_reasoned)


@frozen(kw_only=True, field_transformer=checked)
class PacketClaim(Model):
    """What is sent to claim a packet."""

    agent_id: str
    agent_name: str
    framework: str | None = None


@frozen(kw_only=True, field_transformer=checked)
class HitlRespondRequest(Model):
    """What is sent to answer a packet's question."""

    response: str
    responded_by: str
    notes: str | None = None


@frozen(kw_only=True, field_transformer=checked)
class PacketResponse(Model):
    """A packet as the server has it."""

    id: UUID
    version: str = "1.0.0"
    parent_packet_id: UUID | None = None
    metadata: Metadata
    context: PacketContext
    decisions: list[Decision] = Factory(list)
    actions: Actions = Factory(Actions)
    dependencies: list[Dependency] = Factory(list)
    hitl: HitlCheckpoint | None = None
    status: PacketStatus = PacketStatus.CREATED
    created_at: datetime
    updated_at: datetime


@frozen(kw_only=True, field_transformer=checked)
class PacketListResponse(Model):
    """One page of packets; *next_cursor* leads to the next, None on the last one."""

    packets: list[PacketResponse]
    total: int
    limit: int
    offset: int
    next_cursor: str | None = None


@frozen(kw_only=True, field_transformer=checked)
class SearchOptions(Model):
    """How to search; *status* and *priority* are one word each."""

    limit: int = 50
    offset: int = 0
    status: str | None = None
    priority: str | None = None

    def to_params(self) -> dict[str, str]:
        """Return the query's parameters; what is None is left out."""
        return {name: str(value) for name, value in self.to_dict().items()}
