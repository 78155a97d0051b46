"""
OpenAI's client: a governed tool loop for chat completions, and governed functions for the SDK's Responses runner.

    from handlebar.integrations.openai import HandlebarToolLoop

    loop = HandlebarToolLoop()
    completion = loop.run(
        OpenAI(), model="…", tools=[…], functions={"search": search}, messages=[{"role": "user", "content": "Go"}]
    )

*functions* are the bodies of the *tools*, by name; they get the model's arguments by keyword, and what they raise ends
the loop. A blocked body never runs: the model gets the refusal as the tool's message. Where policy stops the run, the
model is not asked again, and the last completion is a sentence that says so. For the Responses API,

    with hb.run():
        ResponsesToolRunner(functions=loop.governed([…])).run(client, params)

governs what the runner calls; there a stop ends the runner by an error. What runs at OpenAI (web search, code
interpreter, remote MCP servers) and the runner's browser and computer cannot be governed. Works with every server
that speaks OpenAI's protocol; tested with openai 3.54.
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from time import perf_counter
from typing import Any

from attrs import define
from openai.lib.streaming.chat import ChatCompletionStreamState

from handlebar._plumbing.awaiting import to_thread
from handlebar.core.client import HandlebarClient
from handlebar.core.current import bound
from handlebar.core.messages import LLMMessage, LLMResponse, TokenUsage
from handlebar.core.schema.agents import Actor
from handlebar.errors import RunTerminatedError
from handlebar.integrations.governing.bracket import opened, opened_async
from handlebar.integrations.governing.deltas import Keyed, fingerprint
from handlebar.integrations.governing.gate import Refusal, ToolCall, governed, governed_async
from handlebar.integrations.governing.invocation import Invocation, Invocations
from handlebar.integrations.governing.settings import STOPPED, ActorLoader, Settings

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
        invocation = self._invocations.begin(lambda: self._about(params))
        try:
            yield from self._turns(invocation, openai, functions, params)
        except BaseException as error:
            self._invocations.finish(invocation, error)
            raise
        self._invocations.finish(invocation)

    async def iterate_async(self, openai: Any, *, functions: Functions, **params: Any) -> AsyncIterator[Any]:
        """Like `iterate`, for an AsyncOpenAI; functions may be coroutine functions."""
        invocation = await to_thread(self._invocations.begin, lambda: self._about(params))
        try:
            async for each in self._turns_async(invocation, openai, functions, params):
                yield each
        except BaseException as error:
            await to_thread(self._invocations.finish, invocation, error)
            raise
        await to_thread(self._invocations.finish, invocation)

    def governed(self, functions: Sequence[Any]) -> list[Any]:
        """
        Return copies of the SDK's `RegisteredFunction`s, or its async ones, that ask before they run.

        A call belongs to the current run; without one, it gets a run of its own.
        """
        return [dataclasses.replace(each, execute=self._executing(each)) for each in functions]

    def _turns(
        self, invocation: Invocation, openai: Any, functions: Functions, params: Mapping[str, Any]
    ) -> Iterator[Any]:
        talk = _Talk(invocation, params, list(params["messages"]))
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
        talk = _Talk(invocation, params, list(params["messages"]))
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


@define
class _Talk:
    """
    What one loop and its model have said to each other.

    Attributes:
        messages: All of it, as the caller, the model and the tools said it.

        state: Puts the chunks of an answer together.
    """

    invocation: Invocation
    params: Mapping[str, Any]
    messages: list[Any]
    state: Any = None
    asked_at: float = 0

    def request(self) -> dict[str, Any]:
        """Record what is new, and return the next request: the messages are as redactors have left them."""
        told = [_message(each) for each in self.messages]
        rewritten = self.invocation.to_model([Keyed(fingerprint(each), each) for each in told])
        messages = list(self.messages)
        for place, changed in rewritten.items():
            messages[place] = {**messages[place], "content": changed.content}
        self.asked_at = perf_counter()
        self.state = ChatCompletionStreamState(input_tools=self.params.get("tools", []))
        # Without it, a stream tells no tokens.
        usage = {"stream_options": {"include_usage": True}} if self.params.get("stream") else {}
        return {**usage, **self.params, "messages": messages}

    def heard(self, completion: Any) -> list[Any]:
        """Record what the model said, and return the calls that it wants."""
        self.invocation.from_model(_response(completion, (perf_counter() - self.asked_at) * 1000))
        message = completion.choices[0].message
        # Some servers name the role in every chunk, and the SDK adds the names up.
        self.messages.append({**message.to_dict(mode="json"), "role": "assistant"})
        return [call for call in message.tool_calls or () if call.type == "function"]

    def answer(self, call: Any, result: Any) -> None:
        """Keep what a call returned, or why it was not made."""
        content = result.text if isinstance(result, Refusal) else result
        text = content if isinstance(content, str) else json.dumps(content, default=str)
        self.messages.append({"role": "tool", "tool_call_id": call.id, "content": text})


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


def _message(message: Any) -> LLMMessage:
    content = message.get("content") or ""
    return LLMMessage(message["role"], content if isinstance(content, str) else [dict(part) for part in content])


def _response(completion: Any, duration_ms: float) -> LLMResponse:
    message, used = completion.choices[0].message, completion.usage
    parts: list[dict[str, Any]] = [{"type": "text", "text": message.content}] if message.content else []
    for call in message.tool_calls or ():
        if call.type == "function":
            wanted = {"toolName": call.function.name, "args": call.function.arguments}
            parts.append({"type": "tool_call", "toolCallId": call.id, **wanted})
    return LLMResponse(
        content=parts,
        model=completion.model,
        usage=TokenUsage(used.prompt_tokens, used.completion_tokens) if used else None,
        duration_ms=duration_ms,
    )


def _last_words(completion: Any) -> Any:
    choice = completion.choices[0]
    message = choice.message.model_copy(update={"content": STOPPED, "tool_calls": None})
    return completion.model_copy(
        update={"choices": [choice.model_copy(update={"message": message, "finish_reason": "stop"})]}
    )
