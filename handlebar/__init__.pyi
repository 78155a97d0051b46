from handlebar.core.client import HandlebarClient as HandlebarClient
from handlebar.core.config import HandlebarClientConfig as HandlebarClientConfig
from handlebar.core.config import RunConfig as RunConfig
from handlebar.core.current import bind as bind
from handlebar.core.current import get_current_run as get_current_run
from handlebar.core.current import with_run as with_run
from handlebar.core.front import get_client as get_client
from handlebar.core.front import init as init
from handlebar.core.leaving import install_signal_handlers as install_signal_handlers
from handlebar.core.messages import LLMMessage as LLMMessage
from handlebar.core.messages import LLMResponse as LLMResponse
from handlebar.core.messages import TokenUsage as TokenUsage
from handlebar.core.run import Run as Run
from handlebar.core.schema.agents import Actor as Actor
from handlebar.core.schema.agents import AgentDescriptor as AgentDescriptor
from handlebar.core.schema.agents import ModelInfo as ModelInfo
from handlebar.core.schema.agents import Tool as Tool
from handlebar.core.schema.governance import Decision as Decision
from handlebar.core.schema.governance import RunControl as RunControl
from handlebar.core.schema.governance import Verdict as Verdict
from handlebar.core.sinks.config import ConsoleSinkConfig as ConsoleSinkConfig
from handlebar.core.sinks.config import HttpSinkConfig as HttpSinkConfig
from handlebar.core.sinks.config import JsonlSinkConfig as JsonlSinkConfig
from handlebar.core.tools import tool as tool
from handlebar.errors import ApprovalPendingError as ApprovalPendingError
from handlebar.errors import BadAnswerError as BadAnswerError
from handlebar.errors import ConfigError as ConfigError
from handlebar.errors import ControlPlaneError as ControlPlaneError
from handlebar.errors import HandlebarError as HandlebarError
from handlebar.errors import NoCurrentRunError as NoCurrentRunError
from handlebar.errors import NotInitialisedError as NotInitialisedError
from handlebar.errors import PolicyError as PolicyError
from handlebar.errors import RefusedError as RefusedError
from handlebar.errors import RunTerminatedError as RunTerminatedError
from handlebar.errors import ToolBlockedError as ToolBlockedError
from handlebar.errors import UnreachableError as UnreachableError

__all__ = [
    "Actor",
    "AgentDescriptor",
    "ApprovalPendingError",
    "BadAnswerError",
    "ConfigError",
    "ConsoleSinkConfig",
    "ControlPlaneError",
    "Decision",
    "HandlebarClient",
    "HandlebarClientConfig",
    "HandlebarError",
    "HttpSinkConfig",
    "JsonlSinkConfig",
    "LLMMessage",
    "LLMResponse",
    "ModelInfo",
    "NoCurrentRunError",
    "NotInitialisedError",
    "PolicyError",
    "RefusedError",
    "Run",
    "RunConfig",
    "RunControl",
    "RunTerminatedError",
    "TokenUsage",
    "Tool",
    "ToolBlockedError",
    "UnreachableError",
    "Verdict",
    "bind",
    "get_client",
    "get_current_run",
    "init",
    "install_signal_handlers",
    "tool",
    "with_run",
]
