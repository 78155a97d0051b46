"""
Pydantic AI 2.x: a capability that governs an agent's model and tool calls.

    from handlebar.integrations.pydantic_ai import HandlebarCapability

    agent = Agent(model, tools=[...], capabilities=[HandlebarCapability()])

A blocked tool's body never runs: the model gets the refusal as a failed call. Where policy stops the run, the model
is not asked again, and the agent's answer is a sentence that says so; an agent with an output of another type raises
RunTerminatedError instead. Arguments that fail validation, and tools that do not exist, go back to the model before
anybody is asked, and run nothing. Built-in tools of a model's provider run there, and cannot be governed.

With `on_approval="interrupt"`, a call that waits for a person ends the agent's run with `DeferredToolRequests`. Run it
again with their approvals when the person has answered: they approve nothing by themselves, the person's answer is
looked for in the control plane, and a call that nobody has answered is deferred again. The messages carry the id of our
run, which goes on, in whichever process. Needs the extra `pydantic-ai`; tested with 2.62 and 2.68.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any, Literal

from pydantic_ai import DeferredToolRequests, RunContext
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.exceptions import ApprovalRequired, CallDeferred, ToolFailed
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, ToolCallPart

from handlebar._plumbing.awaiting import to_thread
from handlebar.core.client import HandlebarClient
from handlebar.core.messages import LLMMessage, LLMResponse, TokenUsage
from handlebar.core.schema.agents import Actor
from handlebar.errors import RunTerminatedError
from handlebar.integrations.governing.bracket import going_on
from handlebar.integrations.governing.deltas import Keyed, fingerprint
from handlebar.integrations.governing.gate import Refusal, ToolCall, governed_async
from handlebar.integrations.governing.invocation import Invocation, Invocations
from handlebar.integrations.governing.settings import STOPPED, ActorLoader, Settings

_ROLES: Mapping[str, Any] = {
    "system-prompt": "system",
    "user-prompt": "user",
    "tool-return": "tool",
    "retry-prompt": "tool",
}

_RUN_ID = "handlebar_run_id"
"""Where a model's answer carries the id of the run that it belongs to."""


class HandlebarCapability(AbstractCapability[Any]):
    """
    Governs every run of the agents that it is given to; thread-safe, one may serve many agents.

    A run inside `with client.run(...)` belongs to that one; any other gets a run of its own, which ends with it. Its
    session is the `conversation_id`.

    Args:
        client: Whose policies apply; None for the process's default client.

        actor: Whom a run acts for, or a function of the RunContext that tells; an exception of its is raised before
            anything has run.

        tool_tags: Tags by tool name; those under `handlebar_tags` in a tool's `metadata` are added to them.

        wait_for_approval: Seconds to wait where a person has to approve a call; None for not at all.

        on_approval: What happens where nobody has answered: `block` the call, or `interrupt` the agent's run, which
            needs `DeferredToolRequests` among its output types.
    """

    def __init__(
        self,
        client: HandlebarClient | None = None,
        *,
        actor: Actor | str | ActorLoader | None = None,
        tool_tags: Mapping[str, Sequence[str]] | None = None,
        wait_for_approval: float | None = None,
        on_approval: Literal["block", "interrupt"] = "block",
    ) -> None:
        self._invocations = Invocations(client, wait_for_approval=wait_for_approval)
        self._settings = Settings(actor, tool_tags)
        self._defers = on_approval == "interrupt"

    async def wrap_run(self, ctx: RunContext[Any], *, handler: Callable[[], Any]) -> Any:
        """Start the run, or find the caller's; end it, whatever happens."""
        result: Any = None
        run_id, about = _deferred(ctx.messages), lambda: self._about(ctx)
        async with going_on(self._invocations, run_id, about, waits=lambda: () if self._waits(result) else None):
            result = await handler()
        return result

    async def wrap_model_request(
        self, ctx: RunContext[Any], *, request_context: Any, handler: Callable[[Any], Any]
    ) -> ModelResponse:
        """Record what goes to the model and what it answers; ask it nothing where policy has stopped the run."""
        invocation = await to_thread(self._invocations.begin)
        if invocation.should_stop:
            return _last_words(invocation, request_context)
        request_context.messages = await to_thread(_told, invocation, request_context)
        began = perf_counter()
        response: ModelResponse = await handler(request_context)
        await to_thread(invocation.from_model, _response(response, (perf_counter() - began) * 1000))
        if self._defers:
            response.metadata = {**(response.metadata or {}), _RUN_ID: invocation.run.run_id}
        return response

    async def wrap_tool_execute(
        self, ctx: RunContext[Any], *, call: ToolCallPart, tool_def: Any, args: Any, handler: Callable[[Any], Any]
    ) -> Any:
        """Make the call if policy allows it."""
        invocation = await to_thread(self._invocations.begin)
        tags = self._settings.tags_of(call.tool_name, (tool_def.metadata or {}).get("handlebar_tags", ()))
        wanted = ToolCall(name=call.tool_name, args=args, call_id=call.tool_call_id, tags=tags)
        result = await governed_async(
            invocation.gate, wanted, lambda: handler(args), suspends=(ApprovalRequired, CallDeferred)
        )
        if not isinstance(result, Refusal):
            return result
        if result.is_pending and self._defers:
            raise ApprovalRequired
        raise ToolFailed(result.text)

    def _waits(self, result: Any) -> bool:
        return self._defers and isinstance(result.output, DeferredToolRequests)

    def _about(self, ctx: RunContext[Any]) -> dict[str, Any]:
        return {"actor": self._settings.actor_of(ctx), "session_id": ctx.conversation_id}


def _deferred(messages: Sequence[ModelMessage]) -> str | None:
    """Return the id of the run some of whose calls are open at the end of *messages*."""
    answered: set[str] = set()
    for message in reversed(messages):
        if isinstance(message, ModelResponse):
            run_id = (message.metadata or {}).get(_RUN_ID)
            is_open = any(call.tool_call_id not in answered for call in message.tool_calls)
            return run_id if is_open and isinstance(run_id, str) and run_id else None
        answered |= {getattr(part, "tool_call_id", "") for part in message.parts}
    return None


def _last_words(invocation: Invocation, request_context: Any) -> ModelResponse:
    if request_context.model_request_parameters.output_mode != "text":
        raise RunTerminatedError(invocation.gate.stop)
    return ModelResponse(parts=[TextPart(STOPPED)])


def _told(invocation: Invocation, request_context: Any) -> list[ModelMessage]:
    """Record the messages of the request, and return them as the redactors have left them."""
    messages: list[ModelMessage] = list(request_context.messages)
    parts = [(place, part) for place, message in enumerate(messages) for part in message.parts]
    instructions = [
        LLMMessage("system", part.content) for part in request_context.model_request_parameters.instruction_parts or ()
    ]
    told = [*instructions, *(_message(part, messages[place]) for place, part in parts)]
    rewritten = invocation.to_model([Keyed(fingerprint(each), each) for each in told])
    changed = {number - len(instructions): message for number, message in rewritten.items()}
    for place, message in enumerate(messages):
        numbers = [number for number, (of, _) in enumerate(parts) if of == place]
        if any(number in changed for number in numbers):
            new = [_rewritten(parts[number][1], changed.get(number)) for number in numbers]
            messages[place] = dataclasses.replace(message, parts=new)
    return messages


def _message(part: Any, message: ModelMessage) -> LLMMessage:
    role: Any = _ROLES.get(part.part_kind, "user") if isinstance(message, ModelRequest) else "assistant"
    content = getattr(part, "content", None)
    return LLMMessage(role, content if isinstance(content, str) else [{"type": part.part_kind, "content": content}])


def _rewritten(part: Any, message: LLMMessage | None) -> Any:
    if message is None:
        return part
    content: Any = message.content
    # The inverse of `_message`.
    content = content if isinstance(part.content, str) else content[0]["content"]
    return dataclasses.replace(part, content=content)


def _response(response: ModelResponse, duration_ms: float) -> LLMResponse:
    calls = [
        {"type": "tool_call", "toolCallId": part.tool_call_id, "toolName": part.tool_name, "args": part.args}
        for part in response.parts
        if isinstance(part, ToolCallPart)
    ]
    texts = [{"type": "text", "text": part.content} for part in response.parts if isinstance(part, TextPart)]
    return LLMResponse(
        content=[*texts, *calls],
        model=response.model_name or "unknown",
        usage=TokenUsage(response.usage.input_tokens, response.usage.output_tokens),
        duration_ms=duration_ms,
    )
