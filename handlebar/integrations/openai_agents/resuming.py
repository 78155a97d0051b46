"""A run that was interrupted, and goes on: what has been answered meanwhile is approved in the SDK."""

from __future__ import annotations

from typing import Any

from agents import FunctionTool

from handlebar.errors import ConfigError
from handlebar.integrations.governing.gate import Gate
from handlebar.integrations.openai_agents.guarding import Asking, Guards, arguments, is_governed


def check(state: Any) -> None:
    """
    Check that what goes on is governed: the agents are those of *state*, not those that the runner is given.

    Raises:
        ConfigError: It is not.
    """
    # The SDK tells nobody with whom a state goes on that was not interrupted.
    agents = [state._current_agent, *(item.agent for item in state.get_interruptions())]
    if not all(agent is not None and is_governed(agent) for agent in agents):
        raise ConfigError(
            "input",
            "(a RunState of agents that are not governed)",
            "the state of a run of this runner; load a written one by RunState.from_string(runner.governed(agent), …)",
        )


def settle(state: Any, guards: Guards, gate: Gate) -> None:
    """Approve, in the SDK, every call of *state* that waits for nobody any more: our guardrail has the last word."""
    for item in state.get_interruptions():
        if _is_ours(item):
            refusal = gate.ahead(guards.wanted(item.tool_name, arguments(item.arguments), item.call_id))
            if refusal is None or not refusal.is_pending:
                state.approve(item)


def _is_ours(item: Any) -> bool:
    """Whether policy has interrupted the call, not the user's own `needs_approval`."""
    tools = [tool for tool in item.agent.tools if isinstance(tool, FunctionTool) and tool.name == item.tool_name]
    return any(isinstance(tool.needs_approval, Asking) and tool.needs_approval.own is False for tool in tools)
