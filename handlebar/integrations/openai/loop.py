"""The loop: OpenAI's client asks the model, and what the model wants is governed."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from handlebar._plumbing.awaiting import to_thread
from handlebar.core.client import HandlebarClient
from handlebar.core.current import bound
from handlebar.core.schema.agents import Actor
from handlebar.errors import RunTerminatedError
from handlebar.integrations.governing.bracket import opened, opened_async, unbound, unbound_async
from handlebar.integrations.governing.gate import Refusal, ToolCall, governed, governed_async
from handlebar.integrations.governing.invocation import Invocation, Invocations
from handlebar.integrations.governing.settings import STOPPED, ActorLoader, Settings
from handlebar.integrations.openai.recording import Recorded, RecordedAsync
from handlebar.integrations.openai.talking import Talk

Functions = Mapping[str, Callable[..., Any]]


class HandlebarToolLoop:
    """
    Asks the model, makes the calls that it wants, and asks again, until it wants none; thread-safe.

    A loop inside `with client.run(...)` belongs to that run; any other gets one of its own, which ends with it. The
    calls of one answer are made one after another.

    Args:
        client: Whose policies apply; None for the process's default client.

        actor: Whom a run acts for, or a function of the parameters given to the loop, as a dict; what it raises goes
            on to the caller, before anything has run.

        tool_tags: Tags by tool name.

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

    def run(self, openai: Any, *, functions: Functions, **params: Any) -> Any:
        """Run the loop to its end, and return the last completion; *params* are those of `create`, no stream."""
        return list(self.iterate(openai, functions=functions, **params))[-1]

    async def run_async(self, openai: Any, *, functions: Functions, **params: Any) -> Any:
        """Like `run`, for an AsyncOpenAI; functions may be coroutine functions."""
        return [each async for each in self.iterate_async(openai, functions=functions, **params)][-1]

    def iterate(self, openai: Any, *, functions: Functions, **params: Any) -> Iterator[Any]:
        """
        Give each completion; with `stream=True`, each chunk of each completion.

        The run ends when the loop is over, left, or raises. A loop of chunks that policy has stopped just ends.
        """
        with unbound(self._invocations, lambda: self._about(params)) as invocation:
            yield from self._turns(invocation, openai, functions, params)

    async def iterate_async(self, openai: Any, *, functions: Functions, **params: Any) -> AsyncIterator[Any]:
        """Like `iterate`, for an AsyncOpenAI; functions may be coroutine functions."""
        async with unbound_async(self._invocations, lambda: self._about(params)) as invocation:
            async for each in self._turns_async(invocation, openai, functions, params):
                yield each

    @contextmanager
    def recording(self, openai: Any, params: Mapping[str, Any]) -> Iterator[Any]:
        """
        Give *openai*, an OpenAI client, for a Responses runner: what its `responses.create` sends and gets is recorded.

        The block is one run, or part of the current one. *params* are those for the runner; they tell whom it acts for.
        """
        with opened(self._invocations, lambda: self._about(params)) as invocation:
            yield Recorded(openai, invocation)

    @asynccontextmanager
    async def recording_async(self, openai: Any, params: Mapping[str, Any]) -> AsyncIterator[Any]:
        """Like `recording`, for an AsyncOpenAI."""
        async with opened_async(self._invocations, lambda: self._about(params)) as invocation:
            yield RecordedAsync(openai, invocation)

    def governed(self, functions: Sequence[Any]) -> list[Any]:
        """
        Return copies of the SDK's `RegisteredFunction`s, or its async ones, that ask before they run.

        A call belongs to the current run, which `recording` opens; without one, it gets a run of its own.
        """
        return [dataclasses.replace(each, execute=self._executing(each)) for each in functions]

    def _turns(
        self, invocation: Invocation, openai: Any, functions: Functions, params: Mapping[str, Any]
    ) -> Iterator[Any]:
        talk = Talk(invocation, params, list(params["messages"]))
        while True:
            answer = openai.chat.completions.create(**talk.request())
            if params.get("stream"):
                for chunk in answer:
                    talk.state.handle_chunk(chunk)
                    yield chunk
                answer = talk.state.get_final_completion()
            calls = talk.heard(answer)
            if not params.get("stream"):
                yield answer
            for call in calls:
                talk.answer(call, self._make(invocation, functions, call))
            if invocation.should_stop and not params.get("stream"):
                yield _last_words(answer)
            if invocation.should_stop or not calls:
                return

    async def _turns_async(
        self, invocation: Invocation, openai: Any, functions: Functions, params: Mapping[str, Any]
    ) -> AsyncIterator[Any]:
        talk = Talk(invocation, params, list(params["messages"]))
        while True:
            answer = await openai.chat.completions.create(**(await to_thread(talk.request)))
            if params.get("stream"):
                async for chunk in answer:
                    talk.state.handle_chunk(chunk)
                    yield chunk
                answer = talk.state.get_final_completion()
            calls = await to_thread(talk.heard, answer)
            if not params.get("stream"):
                yield answer
            for call in calls:
                talk.answer(call, await self._make_async(invocation, functions, call))
            if invocation.should_stop and not params.get("stream"):
                yield _last_words(answer)
            if invocation.should_stop or not calls:
                return

    def _make(self, invocation: Invocation, functions: Functions, call: Any) -> Any:
        args = _arguments(call.function.arguments)
        body = functions.get(call.function.name)
        if body is None or args is None:
            return _unusable(call, body)
        with bound(invocation.run):
            return governed(invocation.gate, self._wanted(call.function.name, args, call.id), lambda: body(**args))

    async def _make_async(self, invocation: Invocation, functions: Functions, call: Any) -> Any:
        body = functions.get(call.function.name)
        if not inspect.iscoroutinefunction(body):
            return await to_thread(self._make, invocation, functions, call)
        args = _arguments(call.function.arguments)
        if args is None:
            return _unusable(call, body)
        wanted = self._wanted(call.function.name, args, call.id)
        with bound(invocation.run):
            return await governed_async(invocation.gate, wanted, lambda: body(**args))

    def _executing(self, function: Any) -> Callable[[Any], Any]:
        name, body = function.tool["name"], function.execute

        def execute(args: Any) -> Any:
            with opened(self._invocations, dict) as invocation:
                return _used(governed(invocation.gate, self._wanted(name, _seen(args)), lambda: body(args)))

        async def execute_async(args: Any) -> Any:
            async with opened_async(self._invocations, dict) as invocation:
                wanted = self._wanted(name, _seen(args))
                return _used(await governed_async(invocation.gate, wanted, lambda: body(args)))

        return execute_async if inspect.iscoroutinefunction(body) else execute

    def _wanted(self, name: str, args: Any, call_id: str | None = None) -> ToolCall:
        return ToolCall(name=name, args=args, call_id=call_id, tags=self._settings.tags_of(name))

    def _about(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {"actor": self._settings.actor_of(params)}


def _arguments(text: str) -> dict[str, Any] | None:
    """Return what the model wrote; None where it is no JSON object."""
    try:
        args = json.loads(text or "{}")
    except ValueError:
        return None
    return args if isinstance(args, dict) else None


def _unusable(call: Any, body: Any) -> str:
    return f"There is no tool {call.function.name!r}" if body is None else "The arguments must be a JSON object"


def _seen(args: Any) -> Any:
    """Return arguments as rules look into them: the SDK may have made a model of them."""
    return args.model_dump(mode="json") if hasattr(args, "model_dump") else copy.copy(args)


def _used(result: Any) -> Any:
    if not isinstance(result, Refusal):
        return result
    if result.decision.terminates:
        raise RunTerminatedError(result.decision)
    return result.text


def _last_words(completion: Any) -> Any:
    choice = completion.choices[0]
    message = choice.message.model_copy(update={"content": STOPPED, "tool_calls": None})
    return completion.model_copy(
        update={"choices": [choice.model_copy(update={"message": message, "finish_reason": "stop"})]}
    )
