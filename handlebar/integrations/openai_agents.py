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
blocked. Needs the extra `openai-agents`; tested with 0.24.
"""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from agents import (
    Agent,
    FunctionTool,
    Handoff,
    RunConfig,
    RunHooks,
    Runner,
    ToolGuardrailFunctionOutput,
    ToolInputGuardrail,
    ToolOutputGuardrail,
    ToolsToFinalOutputResult,
)

from handlebar._plumbing.awaiting import is_awaitable, to_thread
from handlebar.core.client import HandlebarClient
from handlebar.core.current import bound
from handlebar.core.messages import LLMMessage, LLMResponse, TokenUsage
from handlebar.core.schema.agents import Actor
from handlebar.integrations.governing.deltas import Keyed, fingerprint
from handlebar.integrations.governing.gate import Outcome, ToolCall
from handlebar.integrations.governing.invocation import Invocation, Invocations
from handlebar.integrations.governing.settings import STOPPED, ActorLoader, Settings

_ROLES: Mapping[str, Any] = {"function_call_output": "tool", "function_call": "assistant", "reasoning": "assistant"}
_KNOWN_ROLES = ("system", "developer", "user", "assistant")


class HandlebarRunner:
    """
    Runs agents as the SDK's `Runner` does, governed; thread-safe, one may serve many agents.

    A run inside `with client.run(...)` belongs to that one; any other gets a run of its own, which ends with it. Its
    session is the SDK's `conversation_id`, or the id of its `session`.

    Args:
        client: Whose policies apply; None for the process's default client.

        actor: Whom a run acts for, or a function of the `context` given to the runner; what it raises goes on to the
            caller, before anything has run.

        tool_tags: Tags by tool name: the SDK's tools have none of their own.

        wait_for_approval: Seconds to wait where a person has to approve a call; None for not at all.
    """

    def __init__(
        self,
        client: HandlebarClient | None = None,
        *,
        actor: Actor | str | ActorLoader | None = None,
        tool_tags: Mapping[str, Sequence[str]] | None = None,
        wait_for_approval: float | None = None,
    ) -> None:
        self._invocations = Invocations(client, wait_for_approval=wait_for_approval)
        self._settings = Settings(actor, tool_tags)
        self._guards = _Guards(self._invocations, self._settings)

    def run_sync(self, agent: Agent[Any], input: Any, **options: Any) -> Any:  # noqa: A002  # the SDK's own name
        """Run *agent* to its end; takes and returns what `Runner.run_sync` does."""
        invocation = self._begin(options)
        try:
            with bound(invocation.run):
                result = Runner.run_sync(self.governed(agent), input, **self._options(invocation, options))
        except BaseException as error:
            self._invocations.finish(invocation, error)
            raise
        self._invocations.finish(invocation)
        return result

    async def run(self, agent: Agent[Any], input: Any, **options: Any) -> Any:  # noqa: A002  # the SDK's own name
        """Like `run_sync`."""
        invocation = await to_thread(self._begin, options)
        try:
            with bound(invocation.run):
                result = await Runner.run(self.governed(agent), input, **self._options(invocation, options))
        except BaseException as error:
            await to_thread(self._invocations.finish, invocation, error)
            raise
        await to_thread(self._invocations.finish, invocation)
        return result

    def run_streamed(self, agent: Agent[Any], input: Any, **options: Any) -> Any:  # noqa: A002  # the SDK's own name
        """
        Begin to run *agent*; takes and returns what `Runner.run_streamed` does.

        The run ends when `stream_events()` is exhausted, left, or raises.
        """
        invocation = self._begin(options)
        try:
            with bound(invocation.run):
                result = Runner.run_streamed(self.governed(agent), input, **self._options(invocation, options))
        except BaseException as error:
            self._invocations.finish(invocation, error)
            raise
        # The SDK makes the object, and leaves no other way to learn when the stream is over.
        result.stream_events = self._until_its_end(result.stream_events, invocation)
        return result

    def governed(self, agent: Agent[Any]) -> Agent[Any]:
        """
        Return a copy of *agent* whose tools ask before they run, as do those of every agent that it may hand over to.

        For `Runner` itself, and for `as_tool`; the MCP servers are shared with the original, and governed for it too.
        """
        return _Copies(self._guards).of(agent)

    def _begin(self, options: Mapping[str, Any]) -> Invocation:
        session = options.get("conversation_id") or getattr(options.get("session"), "session_id", None)
        return self._invocations.begin(
            lambda: {"actor": self._settings.actor_of(options.get("context")), "session_id": session}
        )

    def _options(self, invocation: Invocation, options: Mapping[str, Any]) -> dict[str, Any]:
        config = options.get("run_config") or RunConfig()
        formatter = _errors_recorded(invocation, config.tool_error_formatter)
        return {
            **options,
            "hooks": _recording(invocation, options.get("hooks")),
            "run_config": dataclasses.replace(config, tool_error_formatter=formatter),
        }

    def _until_its_end(self, stream: Callable[[], AsyncIterator[Any]], invocation: Invocation) -> Callable[..., Any]:
        async def events() -> AsyncIterator[Any]:
            try:
                async for event in stream():
                    yield event
            except BaseException as error:
                await to_thread(self._invocations.finish, invocation, error)
                raise
            await to_thread(self._invocations.finish, invocation)

        return events


class _Guards:
    """The guardrails that every governed tool gets."""

    def __init__(self, invocations: Invocations, settings: Settings) -> None:
        self._invocations = invocations
        self._settings = settings
        self.before = ToolInputGuardrail(guardrail_function=self._before, name="handlebar")
        self.after = ToolOutputGuardrail(guardrail_function=self._after, name="handlebar")

    async def _before(self, data: Any) -> Any:
        invocation = await to_thread(self._invocations.begin)
        context, agent = data.context, data.agent
        call = ToolCall(
            name=context.tool_name,
            args=_arguments(context.tool_arguments),
            call_id=context.tool_call_id,
            tags=self._settings.tags_of(context.tool_name),
        )
        refusal = await to_thread(invocation.gate.before, call)
        if refusal is None:
            return ToolGuardrailFunctionOutput.allow()
        if refusal.decision.terminates and agent.output_type not in (None, str):
            return ToolGuardrailFunctionOutput.raise_exception(refusal.text)
        return ToolGuardrailFunctionOutput.reject_content(refusal.text)

    async def _after(self, data: Any) -> Any:
        invocation = await to_thread(self._invocations.begin)
        refusal = await to_thread(invocation.gate.after, data.context.tool_call_id, Outcome(data.output))
        if refusal is None:
            return ToolGuardrailFunctionOutput.allow()
        return ToolGuardrailFunctionOutput.reject_content(refusal.text)

    def stops(self, behaviour: Any) -> Callable[..., Awaitable[ToolsToFinalOutputResult]]:
        """Return *behaviour*, one of an agent's `tool_use_behavior`, but ending where policy has stopped the run."""

        async def decide(context: Any, results: list[Any]) -> Any:
            invocation = await to_thread(self._invocations.begin)
            if invocation.should_stop:
                return ToolsToFinalOutputResult(is_final_output=True, final_output=STOPPED)
            return await _behave(behaviour, context, results)

        return decide


class _Copies:
    """Copies agents with everything that can be reached from them; each once, for they hand over in circles."""

    def __init__(self, guards: _Guards) -> None:
        self._guards = guards
        self._made: dict[int, Agent[Any]] = {}

    def of(self, agent: Agent[Any]) -> Agent[Any]:
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
        made.handoffs = [self._handoff(each) for each in agent.handoffs]
        for server in agent.mcp_servers:
            server.tool_input_guardrails = _with(server.tool_input_guardrails, self._guards.before)
            server.tool_output_guardrails = _with(server.tool_output_guardrails, self._guards.after)
        return made

    def _tool(self, tool: Any) -> Any:
        if not isinstance(tool, FunctionTool):
            return tool
        return dataclasses.replace(
            tool,
            tool_input_guardrails=_with(tool.tool_input_guardrails, self._guards.before),
            tool_output_guardrails=_with(tool.tool_output_guardrails, self._guards.after),
        )

    def _handoff(self, handoff: Any) -> Any:
        if not isinstance(handoff, Handoff):
            return self.of(handoff)
        invoke = handoff.on_invoke_handoff

        async def invoked(context: Any, arguments: str) -> Any:
            return self.of(await invoke(context, arguments))

        return dataclasses.replace(handoff, on_invoke_handoff=invoked)


def _recording(invocation: Invocation, own: Any) -> Any:
    """Return the user's *own* hooks, or none, that also record what goes to the model and what it answers."""
    before = RunHooks() if own is None else own
    hooks: Any = copy.copy(before)

    async def on_llm_start(context: Any, agent: Any, system_prompt: str | None, input_items: list[Any]) -> None:
        system = [LLMMessage("system", system_prompt)] if system_prompt else []
        messages = [*system, *(_message(item) for item in input_items)]
        await to_thread(invocation.to_model, [Keyed(fingerprint(each), each) for each in messages])
        await before.on_llm_start(context, agent, system_prompt, input_items)

    async def on_llm_end(context: Any, agent: Any, response: Any) -> None:
        await to_thread(invocation.from_model, _response(agent, response))
        await before.on_llm_end(context, agent, response)

    hooks.on_llm_start, hooks.on_llm_end = on_llm_start, on_llm_end
    return hooks


def _errors_recorded(invocation: Invocation, formatter: Any) -> Callable[[Any], Any]:
    """Return an error formatter that records what a tool raised, and then does what the user's own does."""

    async def formatted(arguments: Any) -> Any:
        if arguments.kind == "tool_exception":
            await to_thread(invocation.gate.after, arguments.call_id, Outcome(error=arguments.error))
        if formatter is None:
            return None
        text = formatter(arguments)
        return await text if is_awaitable(text) else text

    return formatted


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


def _arguments(text: str) -> Any:
    """Return what the model wrote, parsed where it is JSON: rules look into it."""
    try:
        return json.loads(text) if text else {}
    except ValueError:
        return text


def _message(item: Any) -> LLMMessage:
    if not isinstance(item, dict):
        return LLMMessage("user", str(item))
    role: Any = item.get("role") if item.get("role") in _KNOWN_ROLES else _ROLES.get(item.get("type", ""), "user")
    content = item.get("content", item.get("output"))
    return LLMMessage(role, content if isinstance(content, str) else [item])


def _response(agent: Any, response: Any) -> LLMResponse:
    parts: list[dict[str, Any]] = []
    for item in response.output:
        if item.type == "function_call":
            parts.append(
                {"type": "tool_call", "toolCallId": item.call_id, "toolName": item.name, "args": item.arguments}
            )
        elif item.type == "message":
            parts += [{"type": "text", "text": getattr(part, "text", "") or ""} for part in item.content]
    model = agent.model if isinstance(agent.model, str) else getattr(agent.model, "model", None)
    return LLMResponse(
        content=parts,
        model=model if isinstance(model, str) and model else "unknown",
        usage=TokenUsage(response.usage.input_tokens, response.usage.output_tokens),
    )
