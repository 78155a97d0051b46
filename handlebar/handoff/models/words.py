"""The words of the hand-off API."""

from handlebar.handoff.models.base import Word


class Priority(Word):
    """How urgent a packet or an action is."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    CRITICAL = "critical"


class PacketStatus(Word):
    """Where a packet is in its life."""

    CREATED = "created"
    CLAIMED = "claimed"
    IN_PROGRESS = "in_progress"
    AWAITING_HUMAN = "awaiting_human"
    COMPLETED = "completed"
    FAILED = "failed"
    EXPIRED = "expired"


class ConversationRole(Word):
    """Who speaks."""

    USER = "user"
    AGENT = "agent"
    SYSTEM = "system"
    HUMAN = "human"


class DependencyType(Word):
    """What kind of thing a packet depends on."""

    DATA = "data"
    API = "api"
    HUMAN_APPROVAL = "human_approval"
    EXTERNAL_EVENT = "external_event"
    RESOURCE = "resource"


class DependencyStatus(Word):
    """Whether what a packet depends on is there."""

    BLOCKED = "blocked"
    AVAILABLE = "available"
    UNKNOWN = "unknown"


class KeyRole(Word):
    """What an API key may do; each may do what those before it may."""

    READER = "reader"
    AGENT = "agent"
    WRITER = "writer"
    ADMIN = "admin"


class WebhookEvent(Word):
    """What a webhook can be told of."""

    PACKET_CREATED = "packet.created"
    PACKET_CLAIMED = "packet.claimed"
    PACKET_IN_PROGRESS = "packet.in_progress"
    PACKET_AWAITING_HUMAN = "packet.awaiting_human"
    PACKET_COMPLETED = "packet.completed"
    PACKET_FAILED = "packet.failed"
    PACKET_EXPIRED = "packet.expired"
    HITL_RESPONSE_READY = "hitl.response_ready"
    APPROVAL_PENDING = "approval.pending"
    APPROVAL_ANSWERED = "approval.answered"
