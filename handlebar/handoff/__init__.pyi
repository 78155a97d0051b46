from handlebar.handoff.async_client import AsyncHandoffRailClient as AsyncHandoffRailClient
from handlebar.handoff.builder import ChainBuilder as ChainBuilder
from handlebar.handoff.builder import PacketBuilder as PacketBuilder
from handlebar.handoff.client import HandoffRailClient as HandoffRailClient
from handlebar.handoff.exceptions import AuthenticationError as AuthenticationError
from handlebar.handoff.exceptions import ConnectionError as ConnectionError  # noqa: A004  # the published name
from handlebar.handoff.exceptions import HandoffRailError as HandoffRailError
from handlebar.handoff.exceptions import NotFoundError as NotFoundError
from handlebar.handoff.exceptions import RateLimitError as RateLimitError
from handlebar.handoff.exceptions import ServerError as ServerError
from handlebar.handoff.exceptions import ValidationError as ValidationError
from handlebar.handoff.integrations.base import BaseAdapter as BaseAdapter
from handlebar.handoff.integrations.crewai import CrewAIAdapter as CrewAIAdapter
from handlebar.handoff.integrations.crewai import HandoffRailCrewAITool as HandoffRailCrewAITool
from handlebar.handoff.integrations.langchain import HandoffRailCallbackHandler as HandoffRailCallbackHandler
from handlebar.handoff.integrations.langchain import HandoffRailTool as HandoffRailTool
from handlebar.handoff.integrations.langchain import LangChainAdapter as LangChainAdapter
from handlebar.handoff.models import Actions as Actions
from handlebar.handoff.models import AgentInfo as AgentInfo
from handlebar.handoff.models import ApiKeyCreate as ApiKeyCreate
from handlebar.handoff.models import ApiKeyResponse as ApiKeyResponse
from handlebar.handoff.models import Artifact as Artifact
from handlebar.handoff.models import AuditLogEntry as AuditLogEntry
from handlebar.handoff.models import AuditLogResponse as AuditLogResponse
from handlebar.handoff.models import BatchClaimError as BatchClaimError
from handlebar.handoff.models import BatchClaimRequest as BatchClaimRequest
from handlebar.handoff.models import BatchClaimResponse as BatchClaimResponse
from handlebar.handoff.models import BatchCompleteError as BatchCompleteError
from handlebar.handoff.models import BatchCompleteRequest as BatchCompleteRequest
from handlebar.handoff.models import BatchCompleteResponse as BatchCompleteResponse
from handlebar.handoff.models import BatchCreateError as BatchCreateError
from handlebar.handoff.models import BatchCreateRequest as BatchCreateRequest
from handlebar.handoff.models import BatchCreateResponse as BatchCreateResponse
from handlebar.handoff.models import ChainHandoffRequest as ChainHandoffRequest
from handlebar.handoff.models import CompletedAction as CompletedAction
from handlebar.handoff.models import ContextEntry as ContextEntry
from handlebar.handoff.models import ConversationRole as ConversationRole
from handlebar.handoff.models import Decision as Decision
from handlebar.handoff.models import Dependency as Dependency
from handlebar.handoff.models import DependencyStatus as DependencyStatus
from handlebar.handoff.models import DependencyType as DependencyType
from handlebar.handoff.models import FailedAction as FailedAction
from handlebar.handoff.models import HandoffPacket as HandoffPacket
from handlebar.handoff.models import HitlCheckpoint as HitlCheckpoint
from handlebar.handoff.models import HitlRespondRequest as HitlRespondRequest
from handlebar.handoff.models import KeyRole as KeyRole
from handlebar.handoff.models import Metadata as Metadata
from handlebar.handoff.models import PacketClaim as PacketClaim
from handlebar.handoff.models import PacketContext as PacketContext
from handlebar.handoff.models import PacketCreate as PacketCreate
from handlebar.handoff.models import PacketEvent as PacketEvent
from handlebar.handoff.models import PacketHistoryResponse as PacketHistoryResponse
from handlebar.handoff.models import PacketListResponse as PacketListResponse
from handlebar.handoff.models import PacketResponse as PacketResponse
from handlebar.handoff.models import PacketStatus as PacketStatus
from handlebar.handoff.models import PacketStreamEvent as PacketStreamEvent
from handlebar.handoff.models import PacketUpdate as PacketUpdate
from handlebar.handoff.models import PendingAction as PendingAction
from handlebar.handoff.models import Priority as Priority
from handlebar.handoff.models import ReplayResponse as ReplayResponse
from handlebar.handoff.models import RetryAllResponse as RetryAllResponse
from handlebar.handoff.models import SchemaCreate as SchemaCreate
from handlebar.handoff.models import SchemaListResponse as SchemaListResponse
from handlebar.handoff.models import SchemaResponse as SchemaResponse
from handlebar.handoff.models import SearchOptions as SearchOptions
from handlebar.handoff.models import StatsResponse as StatsResponse
from handlebar.handoff.models import TargetAgentInfo as TargetAgentInfo
from handlebar.handoff.models import TenantCreate as TenantCreate
from handlebar.handoff.models import TenantResponse as TenantResponse
from handlebar.handoff.models import TenantUpdate as TenantUpdate
from handlebar.handoff.models import WebhookCreate as WebhookCreate
from handlebar.handoff.models import WebhookDelivery as WebhookDelivery
from handlebar.handoff.models import WebhookEvent as WebhookEvent
from handlebar.handoff.models import WebhookResponse as WebhookResponse
from handlebar.handoff.streaming import EventStream as EventStream

__all__ = [
    "Actions",
    "AgentInfo",
    "ApiKeyCreate",
    "ApiKeyResponse",
    "Artifact",
    "AsyncHandoffRailClient",
    "AuditLogEntry",
    "AuditLogResponse",
    "AuthenticationError",
    "BaseAdapter",
    "BatchClaimError",
    "BatchClaimRequest",
    "BatchClaimResponse",
    "BatchCompleteError",
    "BatchCompleteRequest",
    "BatchCompleteResponse",
    "BatchCreateError",
    "BatchCreateRequest",
    "BatchCreateResponse",
    "ChainBuilder",
    "ChainHandoffRequest",
    "CompletedAction",
    "ConnectionError",
    "ContextEntry",
    "ConversationRole",
    "CrewAIAdapter",
    "Decision",
    "Dependency",
    "DependencyStatus",
    "DependencyType",
    "EventStream",
    "FailedAction",
    "HandoffPacket",
    "HandoffRailCallbackHandler",
    "HandoffRailClient",
    "HandoffRailCrewAITool",
    "HandoffRailError",
    "HandoffRailTool",
    "HitlCheckpoint",
    "HitlRespondRequest",
    "KeyRole",
    "LangChainAdapter",
    "Metadata",
    "NotFoundError",
    "PacketBuilder",
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
    "RateLimitError",
    "ReplayResponse",
    "RetryAllResponse",
    "SchemaCreate",
    "SchemaListResponse",
    "SchemaResponse",
    "SearchOptions",
    "ServerError",
    "StatsResponse",
    "TargetAgentInfo",
    "TenantCreate",
    "TenantResponse",
    "TenantUpdate",
    "ValidationError",
    "WebhookCreate",
    "WebhookDelivery",
    "WebhookEvent",
    "WebhookResponse",
]
