"""OpenAI Agents SDK: an agent that our runner runs."""

from __future__ import annotations

from typing import Any

from agents import Agent, function_tool, set_tracing_disabled
from agents.testing import ModelStep, ScriptedModel, assistant_message, function_call
from desk import ARGUMENTS, ONLINE, QUESTION, hb, issue_refund, report

from handlebar.integrations.openai_agents import HandlebarRunner

set_tracing_disabled(not ONLINE)
wanted = ModelStep(output=[function_call("issue_refund", ARGUMENTS, call_id="call-1")])
said = ModelStep(output=[assistant_message("I may not do that.")])
model: Any = "gpt-4o-mini" if ONLINE else ScriptedModel([wanted, said])
agent = Agent(name="desk", model=model, tools=[function_tool(issue_refund)])
report(HandlebarRunner(hb, actor="user-123").run_sync(agent, QUESTION).final_output)
