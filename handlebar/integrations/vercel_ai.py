"""
Vercel's `ai` for Python: an agent whose tool calls are governed.

    from handlebar.integrations.vercel_ai import HandlebarAgent

    agent = HandlebarAgent(tools=[search])
    async with agent.run(model, [ai.user_message("Where is order A-17?")]) as stream:
        async for event in stream:
            …

A blocked tool's body never runs: the model gets the refusal as a result that `is_error`. Where policy stops the run,
the model is not asked again, and the stream just ends. Calls begin while the model still writes: each is asked about
before what the model said is recorded. Tools that run at a provider cannot be governed; a subclass that has a `loop` of
its own is governed in its calls, but has to look at `run.should_terminate` itself. Needs Python 3.12 and the
distribution `ai`, which is a beta; tested with 0.8.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any

import ai
from ai import models, util

from handlebar._plumbing.awaiting import to_thread
from handlebar.core.client import HandlebarClient
from handlebar.core.messages import LLMMessage, LLMResponse, TokenUsage
from handlebar.core.schema.agents import Actor
from handlebar.integrations.governing.bracket import opened_async
from handlebar.integrations.governing.deltas import Keyed, fingerprint
from handlebar.integrations.governing.gate import Outcome, Refusal, ToolCall, governed_async
from handlebar.integrations.governing.invocation import Invocations
from handlebar.integrations.governing.settings import ActorLoader, Settings

_KNOWN_ROLES = ("system", "user", "assistant", "tool")


class HandlebarAgent(ai.Agent):
    """
    An `ai.Agent` that is governed; may run many times at once.

    A run inside `with client.run(...)` belongs to that one; any other gets a run of its own, which ends with it.

    Args:
        client: Whose policies apply; None for the process's default client.

        tools: As `ai.Agent` takes them.

        actor: Whom a run acts for, or a function of the messages it begins with; what it raises goes on to the
            caller, before anything has run.

        tool_tags: Tags by tool name: the framework's tools have none of their own.

        wait_for_approval: Seconds to wait where a person has to approve a call; None for not at all.
    """

    def __init__(
        self,
        client: HandlebarClient | None = None,
        *,
        tools: Sequence[Any] | None = None,
        actor: Actor | str | ActorLoader | None = None,
        tool_tags: Mapping[str, Sequence[str]] | None = None,
        wait_for_approval: float | None = None,
    ) -> None:
        super().__init__(tools=tools)
        self._invocations = Invocations(client, wait_for_approval=wait_for_approval)
        self._settings = Settings(actor, tool_tags)

    @asynccontextmanager
    async def run(self, model: Any, messages: list[Any], **options: Any) -> AsyncIterator[Any]:
        """Start the run, or find the caller's; end it, whatever happens."""
        about = lambda: {"actor": self._settings.actor_of(messages)}  # noqa: E731  # shorter than a method
        async with opened_async(self._invocations, about), super().run(model, messages, **options) as stream:
            yield stream

    async def loop(self, context: Any) -> AsyncIterator[Any]:
        """Do what the framework's loop does, until policy stops the run."""
        invocation = await to_thread(self._invocations.begin)
        while context.keep_running() and not invocation.should_stop:
            told = [_message(each) for each in context.messages]
            await to_thread(invocation.to_model, [Keyed(fingerprint(each), each) for each in told])
            began = perf_counter()
            async with models.stream(context=context) as stream, ai.ToolRunner() as runner:
                async for event in util.merge(stream, runner.events()):
                    yield event
                    if isinstance(event, ai.events.ToolEnd):
                        runner.schedule(self.resolve(event.tool_call))
                taken = (perf_counter() - began) * 1000
                await to_thread(invocation.from_model, _response(context.model, stream.message, taken))
                context.add(stream.message)
                context.add(runner.get_tool_message())

    def resolve(self, tool_part: Any) -> Any:
        """Return what makes a call, or each of several, if policy allows it."""
        if isinstance(tool_part, Sequence):
            return [self.resolve(each) for each in tool_part]
        return _Governed(super().resolve(tool_part), self._invocations, self._settings)


class _Governed:
    """
    A call that asks before it is made.

    Args:
        call: The framework's own.

        invocations: Where its run is found.

        settings: Which tags it has.
    """

    def __init__(self, call: Any, invocations: Invocations, settings: Settings) -> None:
        self._call = call
        self._invocations = invocations
        self._settings = settings

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)

    async def __call__(self, **overrides: Any) -> Any:
        """Make the call if policy allows it; arguments that are not valid go back without anybody being asked."""
        try:
            args = {**self._call.kwargs, **overrides}
        except ValueError as error:
            return self._answer(str(error))
        invocation = await to_thread(self._invocations.begin)
        tags = self._settings.tags_of(self._call.name)
        wanted = ToolCall(name=self._call.name, args=args, call_id=self._call.id, tags=tags)
        result = await governed_async(invocation.gate, wanted, lambda: self._call(**overrides), outcome_of=_outcome)
        return self._answer(result.text) if isinstance(result, Refusal) else result

    def _answer(self, text: str) -> Any:
        return ai.tool_result(tool_call_id=self._call.id, tool_name=self._call.name, result=text, is_error=True)


def _outcome(result: Any) -> Outcome:
    if result.exception is not None:
        return Outcome(error=result.exception)
    return Outcome([part.result for part in result.results])


def _message(message: Any) -> LLMMessage:
    role: Any = message.role if message.role in _KNOWN_ROLES else "user"
    parts = [part.model_dump(mode="json", exclude={"id"}) for part in message.parts]
    texts_only = all(part.get("kind") == "text" for part in parts)
    return LLMMessage(role, message.text if texts_only else parts)


def _response(model: Any, message: Any, duration_ms: float) -> LLMResponse:
    calls = [
        {"type": "tool_call", "toolCallId": part.tool_call_id, "toolName": part.tool_name, "args": part.tool_args}
        for part in message.tool_calls
    ]
    said = [{"type": "text", "text": message.text}] if message.text else []
    used = message.usage
    return LLMResponse(
        content=[*said, *calls],
        model=model.id,
        usage=TokenUsage(used.input_tokens, used.output_tokens) if used else None,
        duration_ms=duration_ms,
    )
