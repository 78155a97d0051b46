"""Governance for AI agents in Python's blocking world."""

from pkgutil import extend_path

from handlebar._plumbing.doors import lazy_door

# Other distributions' handlebar.* packages are found beside this one.
__path__ = extend_path(__path__, __name__)

_HOMES = {
    "Actor": "handlebar.core.schema.agents",
    "AgentDescriptor": "handlebar.core.schema.agents",
    "ApprovalPendingError": "handlebar.errors",
    "BadAnswerError": "handlebar.errors",
    "ConfigError": "handlebar.errors",
    "ConsoleSinkConfig": "handlebar.core.sinks.config",
    "ControlPlaneError": "handlebar.errors",
    "Decision": "handlebar.core.schema.governance",
    "HandlebarClient": "handlebar.core.client",
    "HandlebarClientConfig": "handlebar.core.config",
    "HandlebarError": "handlebar.errors",
    "HttpSinkConfig": "handlebar.core.sinks.config",
    "JsonlSinkConfig": "handlebar.core.sinks.config",
    "LLMMessage": "handlebar.core.messages",
    "LLMResponse": "handlebar.core.messages",
    "ModelInfo": "handlebar.core.schema.agents",
    "NoCurrentRunError": "handlebar.errors",
    "NotInitialisedError": "handlebar.errors",
    "PolicyError": "handlebar.errors",
    "RefusedError": "handlebar.errors",
    "Run": "handlebar.core.run",
    "RunConfig": "handlebar.core.config",
    "RunControl": "handlebar.core.schema.governance",
    "RunTerminatedError": "handlebar.errors",
    "TokenUsage": "handlebar.core.messages",
    "Tool": "handlebar.core.schema.agents",
    "ToolBlockedError": "handlebar.errors",
    "UnreachableError": "handlebar.errors",
    "Verdict": "handlebar.core.schema.governance",
    "bind": "handlebar.core.current",
    "get_client": "handlebar.core.front",
    "get_current_run": "handlebar.core.current",
    "init": "handlebar.core.front",
    "install_signal_handlers": "handlebar.core.leaving",
    "tool": "handlebar.core.tools",
    "with_run": "handlebar.core.current",
}

__all__ = list(_HOMES)  # the table is the list
__getattr__, __dir__ = lazy_door(__name__, _HOMES)
