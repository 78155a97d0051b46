"""What a packet is made of."""

from datetime import datetime
from typing import Any, Union

from attrs import Factory, frozen

from handlebar.handoff.models.base import Model, checked, now
from handlebar.handoff.models.words import ConversationRole, DependencyStatus, DependencyType, Priority

ArtifactValue = Union[str, list[Any], dict[str, Any]]


@frozen(kw_only=True, field_transformer=checked)
class AgentInfo(Model):
    """The agent that hands over."""

    id: str
    name: str
    framework: str | None = None
    version: str | None = None


@frozen(kw_only=True, field_transformer=checked)
class TargetAgentInfo(Model):
    """The agent that takes over."""

    id: str
    name: str
    framework: str | None = None


@frozen(kw_only=True, field_transformer=checked)
class ContextEntry(Model):
    """One turn of the conversation."""

    role: ConversationRole
    content: str
    timestamp: datetime | None = None
    metadata: dict[str, Any] | None = None


@frozen(kw_only=True, field_transformer=checked)
class Artifact(Model):
    """Something that was made or found on the way."""

    key: str
    value: ArtifactValue
    content_type: str | None = None


@frozen(kw_only=True, field_transformer=checked)
class Decision(Model):
    """Something that was decided, and why."""

    id: str
    decision: str
    rationale: str
    alternatives: list[str] = Factory(list)
    decided_by: str | None = None
    timestamp: datetime | None = None


@frozen(kw_only=True, field_transformer=checked)
class PendingAction(Model):
    """Something that is still to be done."""

    id: str
    description: str
    assignee: str
    priority: Priority | None = None
    depends_on: list[str] = Factory(list)
    deadline: datetime | None = None


@frozen(kw_only=True, field_transformer=checked)
class CompletedAction(Model):
    """Something that has been done."""

    id: str
    description: str
    result: str
    completed_by: str | None = None
    completed_at: datetime | None = None


@frozen(kw_only=True, field_transformer=checked)
class FailedAction(Model):
    """Something that was tried and went wrong."""

    id: str
    description: str
    error: str
    retries_remaining: int | None = None


@frozen(kw_only=True, field_transformer=checked)
class Actions(Model):
    """What is to be done, what has been done, what went wrong."""

    pending: list[PendingAction] = Factory(list)
    completed: list[CompletedAction] = Factory(list)
    failed: list[FailedAction] = Factory(list)


@frozen(kw_only=True, field_transformer=checked)
class Dependency(Model):
    """Something that the work depends on."""

    id: str
    type: DependencyType
    description: str
    status: DependencyStatus = DependencyStatus.UNKNOWN
    source: str | None = None


@frozen(kw_only=True, field_transformer=checked)
class HitlCheckpoint(Model):
    """A question to a person, and the answer."""

    required: bool = True
    reason: str
    question: str | None = None
    options: list[str] | None = None
    response: str | None = None
    responded_at: datetime | None = None
    responded_by: str | None = None
    notes: str | None = None
    timeout_seconds: int | None = None


@frozen(kw_only=True, field_transformer=checked)
class Metadata(Model):
    """Who hands over to whom, when, and how urgently."""

    source_agent: AgentInfo
    target_agent: TargetAgentInfo
    created_at: datetime = Factory(now)
    claimed_at: datetime | None = None
    completed_at: datetime | None = None
    priority: Priority = Priority.NORMAL
    tags: list[str] = Factory(list)


@frozen(kw_only=True, field_transformer=checked)
class PacketContext(Model):
    """What the next agent has to know."""

    summary: str
    conversation_state: list[ContextEntry] = Factory(list)
    artifacts: list[Artifact] = Factory(list)
    custom: dict[str, Any] = Factory(dict)
