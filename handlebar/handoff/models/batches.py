"""Packets by the dozen: what is sent, and what came of each."""

from uuid import UUID

from attrs import Attribute, field, frozen

from handlebar.handoff.exceptions import invalid
from handlebar.handoff.models.base import Model, checked
from handlebar.handoff.models.packets import PacketCreate, PacketResponse

MAX_BATCH = 50


def _batch(_: Model, attribute: "Attribute[list[object]]", parts: list[object]) -> None:
    if not 1 <= len(parts) <= MAX_BATCH:
        raise invalid(attribute.name, f"needs 1 to {MAX_BATCH} of them, not {len(parts)}")


@frozen(kw_only=True, field_transformer=checked)
class BatchCreateRequest(Model):
    """What is sent to make several packets."""

    packets: list[PacketCreate] = field(validator=_batch)


@frozen(kw_only=True, field_transformer=checked)
class BatchCreateError(Model):
    """Why the packet at *index* was not made."""

    index: int
    error: str


@frozen(kw_only=True, field_transformer=checked)
class BatchCreateResponse(Model):
    """What came of making several packets."""

    created: list[PacketResponse]
    errors: list[BatchCreateError] = field(factory=list)


@frozen(kw_only=True, field_transformer=checked)
class BatchClaimRequest(Model):
    """What is sent to claim several packets."""

    packet_ids: list[UUID] = field(validator=_batch)
    agent_id: str
    agent_name: str
    framework: str | None = None


@frozen(kw_only=True, field_transformer=checked)
class BatchClaimError(Model):
    """Why a packet was not claimed."""

    packet_id: str
    error: str


@frozen(kw_only=True, field_transformer=checked)
class BatchClaimResponse(Model):
    """What came of claiming several packets."""

    claimed: list[PacketResponse]
    errors: list[BatchClaimError] = field(factory=list)


@frozen(kw_only=True, field_transformer=checked)
class BatchCompleteRequest(Model):
    """What is sent to complete several packets."""

    packet_ids: list[UUID] = field(validator=_batch)


@frozen(kw_only=True, field_transformer=checked)
class BatchCompleteError(Model):
    """Why a packet was not completed."""

    packet_id: str
    error: str


@frozen(kw_only=True, field_transformer=checked)
class BatchCompleteResponse(Model):
    """What came of completing several packets."""

    completed: list[PacketResponse]
    errors: list[BatchCompleteError] = field(factory=list)
