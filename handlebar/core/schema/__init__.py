"""The words on the wire."""

from handlebar._plumbing.doors import lazy_door

_HOMES = {
    "Actor": "handlebar.core.schema.agents",
    "ActorGroup": "handlebar.core.schema.agents",
    "AgentDescriptor": "handlebar.core.schema.agents",
    "AllowCause": "handlebar.core.schema.governance",
    "AuditEvent": "handlebar.core.schema.events",
    "Decision": "handlebar.core.schema.governance",
    "DecisionCause": "handlebar.core.schema.governance",
    "ErrorEvent": "handlebar.core.schema.events",
    "FAILCLOSED_DECISION": "handlebar.core.schema.governance",
    "FAILOPEN_DECISION": "handlebar.core.schema.governance",
    "HitlPendingCause": "handlebar.core.schema.governance",
    "InbuiltAgentMetricKind": "handlebar.core.schema.metrics",
    "LlmResultEvent": "handlebar.core.schema.events",
    "LockdownCause": "handlebar.core.schema.governance",
    "MessageRawCreatedEvent": "handlebar.core.schema.events",
    "MetricInfo": "handlebar.core.schema.metrics",
    "ModelInfo": "handlebar.core.schema.agents",
    "Policy": "handlebar.core.schema.rules",
    "PolicyVersion": "handlebar.core.schema.governance",
    "Rule": "handlebar.core.schema.rules",
    "RuleCondition": "handlebar.core.schema.rules",
    "RuleEval": "handlebar.core.schema.governance",
    "RuleViolationCause": "handlebar.core.schema.governance",
    "RunControl": "handlebar.core.schema.governance",
    "RunEndedEvent": "handlebar.core.schema.events",
    "RunStartedEvent": "handlebar.core.schema.events",
    "ShadowEffect": "handlebar.core.schema.governance",
    "SubjectRef": "handlebar.core.schema.subjects",
    "Tool": "handlebar.core.schema.agents",
    "ToolDecisionEvent": "handlebar.core.schema.events",
    "ToolResultEvent": "handlebar.core.schema.events",
    "Verdict": "handlebar.core.schema.governance",
}

__all__ = list(_HOMES)  # the table is the list
__getattr__, __dir__ = lazy_door(__name__, _HOMES)
