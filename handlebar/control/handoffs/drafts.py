"""
Packets as callers send them.

Checked for their shape only: the API takes empty texts, which our own client refuses to send.
"""

# Annotations are real types here: they are what a field is checked against.

from uuid import UUID

from attrs import Factory, frozen

from handlebar.handoff.models.base import Model, checked
from handlebar.handoff.models.parts import Actions, Decision, Dependency, HitlCheckpoint, Metadata, PacketContext
from handlebar.handoff.models.words import PacketStatus


@frozen(kw_only=True, field_transformer=checked)
class Draft(Model):
    """A packet that is to be made."""

    parent_packet_id: UUID | None = None
    metadata: Metadata
    context: PacketContext
    decisions: list[Decision] = Factory(list)
    actions: Actions = Factory(Actions)
    dependencies: list[Dependency] = Factory(list)
    hitl: HitlCheckpoint | None = None
    schema_id: str | None = None


@frozen(kw_only=True, field_transformer=checked)
class Change(Model):
    """What is to become of a packet; None leaves alone."""

    status: PacketStatus | None = None
    context: PacketContext | None = None
    decisions: list[Decision] | None = None
    actions: Actions | None = None
    dependencies: list[Dependency] | None = None
    hitl: HitlCheckpoint | None = None
