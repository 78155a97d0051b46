"""
OpenAI Agents SDK: runs agents governed.

    from handlebar.integrations.openai_agents import HandlebarRunner

    runner = HandlebarRunner()
    result = runner.run_sync(agent, "Where is order A-17?")

A blocked tool's body never runs: the model gets the refusal as the tool's output. Where policy stops the run, the
model is not asked again: the agent's answer is a sentence that says so, and an agent with an output type of its own
raises `ToolInputGuardrailTripwireTriggered`. Governed are function tools, the tools of MCP servers, and those of
agents that are handed over to; of agents used as tools, govern each by `runner.governed(agent)` before `as_tool`.
Hosted tools (web search, code interpreter, hosted MCP) run at OpenAI, and handing over is no tool call: neither can be
blocked.

With `on_approval="interrupt"`, a function tool's call that waits for a person interrupts the run, as `needs_approval`
does:

    result = runner.run_sync(agent, "Refund order A-17")
    if result.interruptions:                                # nobody holds the run while the person is waited for
        result = runner.run_sync(agent, result.to_state())

Resume the state as it is: the person's answer is looked for in the control plane, and a call that nobody has answered
is interrupted again. `state.approve(…)` approves nothing there: such a call is refused. A state that was written down
is loaded by `RunState.from_string(runner.governed(agent), …)`. Tools of MCP servers are blocked while they wait. Needs
the extra `openai-agents`; tested with 0.24.
"""

from handlebar._plumbing.doors import lazy_door

_HOMES = {"HandlebarRunner": "handlebar.integrations.openai_agents.running"}

__all__ = list(_HOMES)  # the table is the list
__getattr__, __dir__ = lazy_door(__name__, _HOMES)
