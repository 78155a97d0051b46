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
from handlebar.core.schema.governance import PolicyVersion as PolicyVersion
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

__all__ = [
    "FAILCLOSED_DECISION",
    "FAILOPEN_DECISION",
    "Actor",
    "ActorGroup",
    "AgentDescriptor",
    "AllowCause",
    "AuditEvent",
    "Decision",
    "DecisionCause",
    "ErrorEvent",
    "HitlPendingCause",
    "InbuiltAgentMetricKind",
    "LlmResultEvent",
    "LockdownCause",
    "MessageRawCreatedEvent",
    "MetricInfo",
    "ModelInfo",
    "Policy",
    "PolicyVersion",
    "Rule",
    "RuleCondition",
    "RuleEval",
    "RuleViolationCause",
    "RunControl",
    "RunEndedEvent",
    "RunStartedEvent",
    "ShadowEffect",
    "SubjectRef",
    "Tool",
    "ToolDecisionEvent",
    "ToolResultEvent",
    "Verdict",
]
