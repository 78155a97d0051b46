"""What happened: the history of a packet, the audit log, the events of a stream."""

from datetime import datetime
from typing import Any

from attrs import Factory, frozen

from handlebar.handoff.models.base import Model, checked


@frozen(kw_only=True, field_transformer=checked)
class PacketEvent(Model):
    """One thing that happened to a packet."""

    id: str
    packet_id: str
    event_type: str
    actor: str
    details: dict[str, Any] | None = None
    timestamp: datetime


@frozen(kw_only=True, field_transformer=checked)
class PacketHistoryResponse(Model):
    """All that happened to a packet, oldest first."""

    packet_id: str
    events: list[PacketEvent]


@frozen(kw_only=True, field_transformer=checked)
class AuditLogEntry(Model):
    """One line of the audit log."""

    id: str
    packet_id: str
    actor: str
    action: str
    resource: str = "packet"
    details: dict[str, Any] = Factory(dict)
    timestamp: datetime


@frozen(kw_only=True, field_transformer=checked)
class AuditLogResponse(Model):
    """One page of the audit log, newest first."""

    entries: list[AuditLogEntry]
    total: int
    limit: int
    offset: int


@frozen(kw_only=True, field_transformer=checked)
class PacketStreamEvent(Model):
    """
    One event of the stream.

    Attributes:
        type: The kind, e.g. `packet.created`.

        packet_id: The packet; None where it is about an approval.

        data: At least the packet's `status` and `metadata`.
    """

    type: str
    packet_id: str | None = None
    data: dict[str, Any] = Factory(dict)
    timestamp: datetime
