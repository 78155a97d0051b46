"""Pydantic AI: an agent with our capability."""

from __future__ import annotations

from typing import Any

from desk import ARGUMENTS, ONLINE, QUESTION, hb, issue_refund, report
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from handlebar.integrations.pydantic_ai import HandlebarCapability


def scripted(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Want the refund, and then give up."""
    if any(isinstance(message, ModelResponse) for message in messages):
        return ModelResponse(parts=[TextPart("I may not do that.")])
    return ModelResponse(parts=[ToolCallPart("issue_refund", ARGUMENTS)])


model: Any = "openai:gpt-4o-mini" if ONLINE else FunctionModel(scripted)
agent = Agent(model, tools=[issue_refund], capabilities=[HandlebarCapability(hb, actor="user-123")])
report(agent.run_sync(QUESTION).output)
