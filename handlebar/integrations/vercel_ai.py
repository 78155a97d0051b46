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
its own is governed in its calls, but has to look at `run.should_terminate` itself.

With `on_approval="interrupt"`, a call that waits for a person is deferred as by the framework's own hooks: the run ends
with a result that `is_hook_deferred`. Run the agent again with the stream's messages when the person has answered:
calls that have results are not made again, and a call that nobody has answered is deferred again. The messages carry
the id of our run, which goes on, in whichever process. A tool's own `require_approval` is asked after policy. Needs
Python 3.12 and the distribution `ai`, which is a beta; tested with 0.8.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any, Literal

import ai
from ai import models, util

from handlebar._plumbing.awaiting import to_thread
from handlebar.core.client import HandlebarClient
from handlebar.core.messages import LLMMessage, LLMResponse, TokenUsage
from handlebar.core.schema.agents import Actor
from handlebar.integrations.governing.bracket import going_on
from handlebar.integrations.governing.deltas import Keyed, fingerprint
from handlebar.integrations.governing.gate import Outcome, Refusal, ToolCall, governed_async
from handlebar.integrations.governing.invocation import Invocations
from handlebar.integrations.governing.settings import ActorLoader, Settings

_RUN_ID = "handlebar_run_id"
"""Where a deferred result carries the id of the run that it belongs to."""

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

        on_approval: What happens where nobody has answered: `block` the call, or `interrupt` the run.
    """

    def __init__(
        self,
        client: HandlebarClient | None = None,
        *,
        tools: Sequence[Any] | None = None,
        actor: Actor | str | ActorLoader | None = None,
        tool_tags: Mapping[str, Sequence[str]] | None = None,
        wait_for_approval: float | None = None,
        on_approval: Literal["block", "interrupt"] = "block",
    ) -> None:
        super().__init__(tools=tools)
        self._invocations = Invocations(client, wait_for_approval=wait_for_approval)
        self._settings = Settings(actor, tool_tags)
        self._interrupts = on_approval == "interrupt"

    @asynccontextmanager
    async def run(self, model: Any, messages: list[Any], **options: Any) -> AsyncIterator[Any]:
        """Start the run, or find the caller's; end it, whatever happens."""
        streams: list[Any] = []
        bracket = going_on(
            self._invocations,
            _deferred(messages),
            lambda: {"actor": self._settings.actor_of(messages)},
            waits=lambda: () if _deferred(streams[0].messages) else None,
        )
        async with bracket, super().run(model, messages, **options) as stream:
            streams.append(stream)
            yield stream

    async def loop(self, context: Any) -> AsyncIterator[Any]:
        """Do what the framework's loop does, until policy stops the run."""
        invocation = await to_thread(self._invocations.begin)
        while context.keep_running():
            # What goes on makes the calls that were deferred, and asks the model nothing yet.
            goes_on = context.messages[-1].replay
            if invocation.should_stop and not goes_on:
                return
            told = [_message(each) for each in context.messages]
            await to_thread(invocation.to_model, [Keyed(fingerprint(each), each) for each in told])
            began = perf_counter()
            async with models.stream(context=context) as stream, ai.ToolRunner() as runner:
                async for event in util.merge(stream, runner.events()):
                    yield event
                    if isinstance(event, ai.events.ToolEnd):
                        runner.schedule(self.resolve(event.tool_call))
                taken = (perf_counter() - began) * 1000
                if not goes_on:
                    await to_thread(invocation.from_model, _response(context.model, stream.message, taken))
                context.add(stream.message)
                context.add(runner.get_tool_message())

    def resolve(self, tool_part: Any) -> Any:
        """Return what makes a call, or each of several, if policy allows it."""
        if isinstance(tool_part, Sequence):
            return [self.resolve(each) for each in tool_part]
        call = super().resolve(tool_part)
        # It was made before the run was interrupted; the framework only repeats its result.
        if tool_part.cached_result is not None:
            return call
        return _Governed(call, self._invocations, self._settings, interrupts=self._interrupts)


class _Governed:
    """
    A call that asks before it is made.

    Args:
        call: The framework's own.

        invocations: Where its run is found.

        settings: Which tags it has.

        interrupts: Whether it is deferred while it waits for a person.
    """

    def __init__(self, call: Any, invocations: Invocations, settings: Settings, *, interrupts: bool) -> None:
        self._call = call
        self._invocations = invocations
        self._settings = settings
        self._interrupts = interrupts

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
        if not isinstance(result, Refusal):
            return result
        deferred_by = invocation.run.run_id if result.is_pending and self._interrupts else None
        return self._answer(result.text, deferred_by=deferred_by)

    def _answer(self, text: str, *, deferred_by: str | None = None) -> Any:
        part = ai.messages.ToolResultPart(
            tool_call_id=self._call.id,
            tool_name=self._call.name,
            result=text,
            result_kind="error",
            is_hook_deferred=deferred_by is not None,
            provider_metadata=None if deferred_by is None else {_RUN_ID: deferred_by},
        )
        return ai.tool_result(part)


def _deferred(messages: Sequence[Any]) -> str | None:
    """Return the id of the run some of whose calls are deferred at the end of *messages*."""
    results = messages[-1].tool_results if messages else ()
    ids = [(part.provider_metadata or {}).get(_RUN_ID) for part in results if part.is_hook_deferred]
    return next((each for each in ids if isinstance(each, str) and each), None)


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
