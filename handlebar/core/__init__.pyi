from handlebar.core.budgets import BudgetGrant as BudgetGrant
from handlebar.core.budgets import BudgetManager as BudgetManager
from handlebar.core.client import Handlebar as Handlebar
from handlebar.core.client import HandlebarClient as HandlebarClient
from handlebar.core.config import EnforceMode as EnforceMode
from handlebar.core.config import HandlebarClientConfig as HandlebarClientConfig
from handlebar.core.config import HandlebarConfig as HandlebarConfig
from handlebar.core.config import RunConfig as RunConfig
from handlebar.core.config import SinkConfig as SinkConfig
from handlebar.core.current import bind as bind
from handlebar.core.current import get_current_run as get_current_run
from handlebar.core.current import with_run as with_run
from handlebar.core.guarding import Guard as Guard
from handlebar.core.guarding import refusal_text as refusal_text
from handlebar.core.measuring import approx_bytes as approx_bytes
from handlebar.core.measuring import approx_records as approx_records
from handlebar.core.messages import LLMMessage as LLMMessage
from handlebar.core.messages import LLMResponse as LLMResponse
from handlebar.core.messages import TokenUsage as TokenUsage
from handlebar.core.messages import derive_output_text as derive_output_text
from handlebar.core.metrics.collector import AgentMetricCollector as AgentMetricCollector
from handlebar.core.metrics.hooks import AgentMetricHook as AgentMetricHook
from handlebar.core.metrics.hooks import AgentMetricHookPhase as AgentMetricHookPhase
from handlebar.core.metrics.hooks import AgentMetricHookRegistry as AgentMetricHookRegistry
from handlebar.core.plane import ApprovalStatus as ApprovalStatus
from handlebar.core.plane import ControlPlane as ControlPlane
from handlebar.core.plane import EvaluateRequest as EvaluateRequest
from handlebar.core.plane import Lockdown as Lockdown
from handlebar.core.plane import RunEndStatus as RunEndStatus
from handlebar.core.plane import StartRequest as StartRequest
from handlebar.core.run import Run as Run
from handlebar.core.run import ToolResult as ToolResult
from handlebar.core.schema.agents import Actor as Actor
from handlebar.core.schema.agents import ActorGroup as ActorGroup
from handlebar.core.schema.agents import AgentDescriptor as AgentDescriptor
from handlebar.core.schema.agents import ModelInfo as ModelInfo
from handlebar.core.schema.agents import Tool as Tool
from handlebar.core.schema.events import AuditEvent as AuditEvent
from handlebar.core.schema.events import ErrorEvent as ErrorEvent
from handlebar.core.schema.events import LlmResultEvent as LlmResultEvent
from handlebar.core.schema.events import MessageRawCreatedEvent as MessageRawCreatedEvent
from handlebar.core.schema.events import RunEndedEvent as RunEndedEvent
from handlebar.core.schema.events import RunStartedEvent as RunStartedEvent
from handlebar.core.schema.events import ToolDecisionEvent as ToolDecisionEvent
from handlebar.core.schema.events import ToolResultEvent as ToolResultEvent
from handlebar.core.schema.governance import FAILCLOSED_DECISION as FAILCLOSED_DECISION
from handlebar.core.schema.governance import FAILOPEN_DECISION as FAILOPEN_DECISION
from handlebar.core.schema.governance import AllowCause as AllowCause
from handlebar.core.schema.governance import Decision as Decision
from handlebar.core.schema.governance import DecisionCause as DecisionCause
from handlebar.core.schema.governance import HitlPendingCause as HitlPendingCause
from handlebar.core.schema.governance import LockdownCause as LockdownCause
from handlebar.core.schema.governance import RuleEval as RuleEval
from handlebar.core.schema.governance import RuleViolationCause as RuleViolationCause
from handlebar.core.schema.governance import RunControl as RunControl
from handlebar.core.schema.governance import ShadowEffect as ShadowEffect
from handlebar.core.schema.governance import Verdict as Verdict
from handlebar.core.schema.metrics import InbuiltAgentMetricKind as InbuiltAgentMetricKind
from handlebar.core.schema.metrics import MetricInfo as MetricInfo
from handlebar.core.schema.rules import Policy as Policy
from handlebar.core.schema.rules import Rule as Rule
from handlebar.core.schema.rules import RuleCondition as RuleCondition
from handlebar.core.schema.subjects import SubjectRef as SubjectRef
from handlebar.core.sinks.base import Sink as Sink
from handlebar.core.sinks.bus import SinkBus as SinkBus
from handlebar.core.sinks.config import ConsoleSinkConfig as ConsoleSinkConfig
from handlebar.core.sinks.config import HttpSinkConfig as HttpSinkConfig
from handlebar.core.sinks.config import JsonlSinkConfig as JsonlSinkConfig
from handlebar.core.sinks.console import create_console_sink as create_console_sink
from handlebar.core.sinks.http import create_http_sink as create_http_sink
from handlebar.core.sinks.jsonl import create_jsonl_sink as create_jsonl_sink
from handlebar.core.slugs import generate_slug as generate_slug
from handlebar.core.stats import ClientStats as ClientStats
from handlebar.core.subject_registry import SubjectExtractor as SubjectExtractor
from handlebar.core.subject_registry import SubjectRegistry as SubjectRegistry
from handlebar.core.subject_registry import sanitise_subjects as sanitise_subjects
from handlebar.core.tokens import tokenise_count as tokenise_count
from handlebar.core.tool_meta import ToolMeta as ToolMeta
from handlebar.core.tool_meta import define_tool as define_tool
from handlebar.core.tool_meta import wrap_tool as wrap_tool
from handlebar.core.tools import tool as tool

__all__ = [
    "FAILCLOSED_DECISION",
    "FAILOPEN_DECISION",
    "Actor",
    "ActorGroup",
    "AgentDescriptor",
    "AgentMetricCollector",
    "AgentMetricHook",
    "AgentMetricHookPhase",
    "AgentMetricHookRegistry",
    "AllowCause",
    "ApprovalStatus",
    "AuditEvent",
    "BudgetGrant",
    "BudgetManager",
    "ClientStats",
    "ConsoleSinkConfig",
    "ControlPlane",
    "Decision",
    "DecisionCause",
    "EnforceMode",
    "ErrorEvent",
    "EvaluateRequest",
    "Guard",
    "Handlebar",
    "HandlebarClient",
    "HandlebarClientConfig",
    "HandlebarConfig",
    "HitlPendingCause",
    "HttpSinkConfig",
    "InbuiltAgentMetricKind",
    "JsonlSinkConfig",
    "LLMMessage",
    "LLMResponse",
    "LlmResultEvent",
    "Lockdown",
    "LockdownCause",
    "MessageRawCreatedEvent",
    "MetricInfo",
    "ModelInfo",
    "Policy",
    "Rule",
    "RuleCondition",
    "RuleEval",
    "RuleViolationCause",
    "Run",
    "RunConfig",
    "RunControl",
    "RunEndStatus",
    "RunEndedEvent",
    "RunStartedEvent",
    "ShadowEffect",
    "Sink",
    "SinkBus",
    "SinkConfig",
    "StartRequest",
    "SubjectExtractor",
    "SubjectRef",
    "SubjectRegistry",
    "TokenUsage",
    "Tool",
    "ToolDecisionEvent",
    "ToolMeta",
    "ToolResult",
    "ToolResultEvent",
    "Verdict",
    "approx_bytes",
    "approx_records",
    "bind",
    "create_console_sink",
    "create_http_sink",
    "create_jsonl_sink",
    "define_tool",
    "derive_output_text",
    "generate_slug",
    "get_current_run",
    "refusal_text",
    "sanitise_subjects",
    "tokenise_count",
    "tool",
    "with_run",
    "wrap_tool",
]
