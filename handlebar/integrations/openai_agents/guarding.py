"""Copies of agents whose tools ask before they run."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Awaitable, Callable
from typing import Any

from agents import (
    Agent,
    FunctionTool,
    Handoff,
    ToolGuardrailFunctionOutput,
    ToolInputGuardrail,
    ToolOutputGuardrail,
    ToolsToFinalOutputResult,
)
from attrs import frozen

from handlebar._plumbing.awaiting import is_awaitable, to_thread
from handlebar.integrations.governing.gate import Outcome, ToolCall
from handlebar.integrations.governing.invocation import Invocations
from handlebar.integrations.governing.settings import STOPPED, Settings

_NAME = "handlebar"
"""What our guardrails are called."""

_MARK = "_handlebar_governed"
"""What our copies are known by."""


class Guards:
    """
    What every governed tool gets: guardrails, and, where calls that wait for a person interrupt, an approval.

    Args:
        invocations: Where the runs are found.

        settings: Which tags tools have.

        interrupts: Whether calls interrupt that wait for a person.
    """

    def __init__(self, invocations: Invocations, settings: Settings, *, interrupts: bool = False) -> None:
        self._invocations = invocations
        self._settings = settings
        self.interrupts = interrupts
        self.before = ToolInputGuardrail(guardrail_function=self._before, name=_NAME)
        self.after = ToolOutputGuardrail(guardrail_function=self._after, name=_NAME)

    async def _before(self, data: Any) -> Any:
        invocation = await to_thread(self._invocations.begin)
        context = data.context
        call = self.wanted(context.tool_name, arguments(context.tool_arguments), context.tool_call_id)
        refusal = await to_thread(invocation.gate.before, call)
        if refusal is None:
            return ToolGuardrailFunctionOutput.allow()
        if refusal.decision.terminates and data.agent.output_type not in (None, str):
            return ToolGuardrailFunctionOutput.raise_exception(refusal.text)
        return ToolGuardrailFunctionOutput.reject_content(refusal.text)

    async def _after(self, data: Any) -> Any:
        invocation = await to_thread(self._invocations.begin)
        refusal = await to_thread(invocation.gate.after, data.context.tool_call_id, Outcome(data.output))
        if refusal is None:
            return ToolGuardrailFunctionOutput.allow()
        return ToolGuardrailFunctionOutput.reject_content(refusal.text)

    def wanted(self, name: str, args: Any, call_id: str) -> ToolCall:
        """Return a call that the model wants."""
        return ToolCall(name=name, args=args, call_id=call_id, tags=self._settings.tags_of(name))

    async def waits(self, call: ToolCall) -> bool:
        """Decide, before the guardrail does; tell whether *call* waits for a person."""
        invocation = await to_thread(self._invocations.begin)
        refusal = await to_thread(invocation.gate.ahead, call)
        return refusal is not None and refusal.is_pending

    def stops(self, behaviour: Any) -> Callable[..., Awaitable[ToolsToFinalOutputResult]]:
        """Return *behaviour*, one of an agent's `tool_use_behavior`, but ending where policy has stopped the run."""

        async def decide(context: Any, results: list[Any]) -> Any:
            invocation = await to_thread(self._invocations.begin)
            if invocation.should_stop:
                return ToolsToFinalOutputResult(is_final_output=True, final_output=STOPPED)
            return await _behave(behaviour, context, results)

        return decide


@frozen(eq=False)
class Asking:
    """
    A tool's `needs_approval`: whether its *own* asks for one, or policy does.

    Attributes:
        own: What the user has said of the tool; such a call is approved in the SDK first, and decided then.
    """

    guards: Guards
    tool_name: str
    own: Any

    async def __call__(self, context: Any, params: dict[str, Any], call_id: str) -> bool:
        """Tell whether the call has to be approved."""
        said = self.own(context, params, call_id) if callable(self.own) else self.own
        if await said if is_awaitable(said) else said:
            return True
        return await self.guards.waits(self.guards.wanted(self.tool_name, params, call_id))


class Copies:
    """Copies agents with everything that can be reached from them; each once, for they hand over in circles."""

    def __init__(self, guards: Guards) -> None:
        self._guards = guards
        self._made: dict[int, Agent[Any]] = {}

    def of(self, agent: Agent[Any]) -> Agent[Any]:
        """Return the copy of *agent*."""
        known = self._made.get(id(agent))
        if known is not None:
            return known
        stops = agent.tool_use_behavior
        if agent.output_type in (None, str):
            stops = self._guards.stops(agent.tool_use_behavior)
        made = self._made[id(agent)] = agent.clone(
            tools=[self._tool(tool) for tool in agent.tools], tool_use_behavior=stops
        )
        self._made[id(made)] = made
        vars(made)[_MARK] = True
        made.handoffs = [self._handoff(each) for each in agent.handoffs]
        for server in agent.mcp_servers:
            server.tool_input_guardrails = _with(server.tool_input_guardrails, self._guards.before)
            server.tool_output_guardrails = _with(server.tool_output_guardrails, self._guards.after)
        return made

    def _tool(self, tool: Any) -> Any:
        if not isinstance(tool, FunctionTool):
            return tool
        guarded = dataclasses.replace(
            tool,
            tool_input_guardrails=_with(tool.tool_input_guardrails, self._guards.before),
            tool_output_guardrails=_with(tool.tool_output_guardrails, self._guards.after),
        )
        if not self._guards.interrupts or isinstance(tool.needs_approval, Asking):
            return guarded
        asking = Asking(self._guards, tool.name, tool.needs_approval)
        return dataclasses.replace(guarded, needs_approval=asking, on_invoke_tool=_plain(tool.on_invoke_tool))

    def _handoff(self, handoff: Any) -> Any:
        if not isinstance(handoff, Handoff):
            return self.of(handoff)
        invoke = handoff.on_invoke_handoff

        async def invoked(context: Any, arguments: str) -> Any:
            return self.of(await invoke(context, arguments))

        return dataclasses.replace(handoff, on_invoke_handoff=invoked)


async def _behave(behaviour: Any, context: Any, results: list[Any]) -> Any:
    """Do what the SDK does for each kind of `tool_use_behavior`."""
    if callable(behaviour):
        decided = behaviour(context, results)
        return await decided if is_awaitable(decided) else decided
    if behaviour == "stop_on_first_tool":
        return ToolsToFinalOutputResult(is_final_output=True, final_output=results[0].output)
    names = behaviour.get("stop_at_tool_names", ()) if isinstance(behaviour, dict) else ()
    stopping = [each for each in results if each.tool.name in names]
    if stopping:
        return ToolsToFinalOutputResult(is_final_output=True, final_output=stopping[0].output)
    return ToolsToFinalOutputResult(is_final_output=False, final_output=None)


def _with(guardrails: list[Any] | None, mine: Any) -> list[Any]:
    """Return *guardrails* with *mine* among them, once, and first: what is blocked need not be looked at further."""
    others = [each for each in guardrails or () if each is not mine]
    return [mine, *others]


def _plain(invoke: Callable[..., Any]) -> Callable[..., Any]:
    """Return *invoke* as a plain function: of its own kind, the SDK asks `needs_approval` about some calls only."""

    async def invoked(context: Any, arguments: str) -> Any:
        return await invoke(context, arguments)

    return invoked


def is_governed(agent: Any) -> bool:
    """Whether *agent* is one of our copies: then so is whomever it hands over to."""
    return _MARK in vars(agent)


def arguments(text: str) -> Any:
    """Return what the model wrote, parsed where it is JSON: rules look into it."""
    try:
        return json.loads(text) if text else {}
    except ValueError:
        return text
