from handlebar.handoff.models.administration import ApiKeyCreate as ApiKeyCreate
from handlebar.handoff.models.administration import ApiKeyResponse as ApiKeyResponse
from handlebar.handoff.models.administration import SchemaCreate as SchemaCreate
from handlebar.handoff.models.administration import SchemaListResponse as SchemaListResponse
from handlebar.handoff.models.administration import SchemaResponse as SchemaResponse
from handlebar.handoff.models.administration import StatsResponse as StatsResponse
from handlebar.handoff.models.administration import TenantCreate as TenantCreate
from handlebar.handoff.models.administration import TenantResponse as TenantResponse
from handlebar.handoff.models.administration import TenantUpdate as TenantUpdate
from handlebar.handoff.models.base import Model as Model
from handlebar.handoff.models.batches import BatchClaimError as BatchClaimError
from handlebar.handoff.models.batches import BatchClaimRequest as BatchClaimRequest
from handlebar.handoff.models.batches import BatchClaimResponse as BatchClaimResponse
from handlebar.handoff.models.batches import BatchCompleteError as BatchCompleteError
from handlebar.handoff.models.batches import BatchCompleteRequest as BatchCompleteRequest
from handlebar.handoff.models.batches import BatchCompleteResponse as BatchCompleteResponse
from handlebar.handoff.models.batches import BatchCreateError as BatchCreateError
from handlebar.handoff.models.batches import BatchCreateRequest as BatchCreateRequest
from handlebar.handoff.models.batches import BatchCreateResponse as BatchCreateResponse
from handlebar.handoff.models.happenings import AuditLogEntry as AuditLogEntry
from handlebar.handoff.models.happenings import AuditLogResponse as AuditLogResponse
from handlebar.handoff.models.happenings import PacketEvent as PacketEvent
from handlebar.handoff.models.happenings import PacketHistoryResponse as PacketHistoryResponse
from handlebar.handoff.models.happenings import PacketStreamEvent as PacketStreamEvent
from handlebar.handoff.models.packets import ChainHandoffRequest as ChainHandoffRequest
from handlebar.handoff.models.packets import HandoffPacket as HandoffPacket
from handlebar.handoff.models.packets import HitlRespondRequest as HitlRespondRequest
from handlebar.handoff.models.packets import PacketClaim as PacketClaim
from handlebar.handoff.models.packets import PacketCreate as PacketCreate
from handlebar.handoff.models.packets import PacketListResponse as PacketListResponse
from handlebar.handoff.models.packets import PacketResponse as PacketResponse
from handlebar.handoff.models.packets import PacketUpdate as PacketUpdate
from handlebar.handoff.models.packets import SearchOptions as SearchOptions
from handlebar.handoff.models.parts import Actions as Actions
from handlebar.handoff.models.parts import AgentInfo as AgentInfo
from handlebar.handoff.models.parts import Artifact as Artifact
from handlebar.handoff.models.parts import CompletedAction as CompletedAction
from handlebar.handoff.models.parts import ContextEntry as ContextEntry
from handlebar.handoff.models.parts import Decision as Decision
from handlebar.handoff.models.parts import Dependency as Dependency
from handlebar.handoff.models.parts import FailedAction as FailedAction
from handlebar.handoff.models.parts import HitlCheckpoint as HitlCheckpoint
from handlebar.handoff.models.parts import Metadata as Metadata
from handlebar.handoff.models.parts import PacketContext as PacketContext
from handlebar.handoff.models.parts import PendingAction as PendingAction
from handlebar.handoff.models.parts import TargetAgentInfo as TargetAgentInfo
from handlebar.handoff.models.webhooks import ReplayResponse as ReplayResponse
from handlebar.handoff.models.webhooks import RetryAllResponse as RetryAllResponse
from handlebar.handoff.models.webhooks import WebhookCreate as WebhookCreate
from handlebar.handoff.models.webhooks import WebhookDelivery as WebhookDelivery
from handlebar.handoff.models.webhooks import WebhookResponse as WebhookResponse
from handlebar.handoff.models.words import ConversationRole as ConversationRole
from handlebar.handoff.models.words import DependencyStatus as DependencyStatus
from handlebar.handoff.models.words import DependencyType as DependencyType
from handlebar.handoff.models.words import KeyRole as KeyRole
from handlebar.handoff.models.words import PacketStatus as PacketStatus
from handlebar.handoff.models.words import Priority as Priority
from handlebar.handoff.models.words import WebhookEvent as WebhookEvent

__all__ = [
    "Actions",
    "AgentInfo",
    "ApiKeyCreate",
    "ApiKeyResponse",
    "Artifact",
    "AuditLogEntry",
    "AuditLogResponse",
    "BatchClaimError",
    "BatchClaimRequest",
    "BatchClaimResponse",
    "BatchCompleteError",
    "BatchCompleteRequest",
    "BatchCompleteResponse",
    "BatchCreateError",
    "BatchCreateRequest",
    "BatchCreateResponse",
    "ChainHandoffRequest",
    "CompletedAction",
    "ContextEntry",
    "ConversationRole",
    "Decision",
    "Dependency",
    "DependencyStatus",
    "DependencyType",
    "FailedAction",
    "HandoffPacket",
    "HitlCheckpoint",
    "HitlRespondRequest",
    "KeyRole",
    "Metadata",
    "Model",
    "PacketClaim",
    "PacketContext",
    "PacketCreate",
    "PacketEvent",
    "PacketHistoryResponse",
    "PacketListResponse",
    "PacketResponse",
    "PacketStatus",
    "PacketStreamEvent",
    "PacketUpdate",
    "PendingAction",
    "Priority",
    "ReplayResponse",
    "RetryAllResponse",
    "SchemaCreate",
    "SchemaListResponse",
    "SchemaResponse",
    "SearchOptions",
    "StatsResponse",
    "TargetAgentInfo",
    "TenantCreate",
    "TenantResponse",
    "TenantUpdate",
    "WebhookCreate",
    "WebhookDelivery",
    "WebhookEvent",
    "WebhookResponse",
]
