"""OpenAI Agents SDK: a refund waits for a person, and nobody holds the run meanwhile; needs no key."""

from __future__ import annotations

import tempfile
from pathlib import Path

from agents import Agent, function_tool, set_tracing_disabled
from agents.testing import ModelStep, ScriptedModel, assistant_message, function_call

import handlebar
from handlebar.control import open_control_plane
from handlebar.integrations.openai_agents import HandlebarRunner

RULE = {
    "name": "Refunds above 500",
    "selector": {"phase": "tool.before", "tool": {"name": "issue_refund"}},
    "condition": {"kind": "toolArg", "type": "number", "path": "amount", "op": "gt", "value": 500},
    "effect": {"type": "hitl", "reason": "A person has to look at it."},
}


@function_tool  # type: ignore[untyped-decorator]  # its type is not known where this is checked
def issue_refund(order_id: str, amount: float) -> str:
    """Pay the money for an order back."""
    print("MONEY LEFT THE HOUSE", order_id, amount)
    return "refunded"


set_tracing_disabled(True)
wanted = ModelStep(output=[function_call("issue_refund", {"order_id": "A-17", "amount": 900}, call_id="call-1")])
model = ScriptedModel([wanted, ModelStep(output=[assistant_message("Done.")])])
agent = Agent(name="desk", model=model, tools=[issue_refund])

with tempfile.TemporaryDirectory() as folder:
    url = f"sqlite:///{Path(folder) / 'desk.db'}"
    hb = handlebar.init("refund-desk", api_endpoint=url, policies=[{"name": "Money", "rules": [RULE]}])
    runner = HandlebarRunner(hb, on_approval="interrupt")

    result = runner.run_sync(agent, "Refund order A-17, please.")
    print("Waiting for a person:", [item.tool_name for item in result.interruptions])

    # What `handlebar approvals` and the dashboard do.
    person = open_control_plane(url)
    for question in person.approvals(status="pending"):
        person.respond(question.id, "approved", responded_by="ann")
    person.close()

    result = runner.run_sync(agent, result.to_state())
    print("Agent:", result.final_output)
    hb.shutdown_sync()
