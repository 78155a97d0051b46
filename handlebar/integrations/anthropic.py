"""
Anthropic's client: a governed tool loop, on the client's own `tool_runner`.

    from handlebar.integrations.anthropic import HandlebarToolRunner

    runner = HandlebarToolRunner()
    message = runner.run(
        Anthropic(), model="…", max_tokens=1024, tools=[search], messages=[{"role": "user", "content": "Go"}]
    )

*tools* are functions under the SDK's `@beta_tool`, or `@beta_async_tool` for an AsyncAnthropic. A blocked tool's body
never runs: the model gets the refusal as a `tool_result` that `is_error`. Where policy stops the run, the model is not
asked again; the last message is a sentence that says so. Tools given as plain dicts are those that run at Anthropic
(web search, code execution): they cannot be governed; nor can the SDK's toolsets, which are therefore not taken.
Tested with anthropic 2.12.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from time import perf_counter
from typing import Any

from anthropic.lib.tools import ToolError
from anthropic.types.beta import BetaTextBlock
from attrs import define

from handlebar._plumbing.awaiting import to_thread
from handlebar.core.client import HandlebarClient
from handlebar.core.current import bound
from handlebar.core.messages import LLMMessage, LLMResponse, TokenUsage
from handlebar.core.schema.agents import Actor
from handlebar.errors import ConfigError
from handlebar.integrations.governing.bracket import unbound, unbound_async
from handlebar.integrations.governing.deltas import Keyed, fingerprint
from handlebar.integrations.governing.gate import Refusal, ToolCall, governed, governed_async
from handlebar.integrations.governing.invocation import Invocation, Invocations
from handlebar.integrations.governing.settings import STOPPED, ActorLoader, Settings


class HandlebarToolRunner:
    """
    Runs the SDK's tool loop, governed; thread-safe, one may serve many clients.

    A loop inside `with client.run(...)` belongs to that run; any other gets one of its own, which ends with it.

    Args:
        client: Whose policies apply; None for the process's default client.

        actor: Whom a run acts for, or a function of the parameters given to the loop, as a dict; what it raises goes
            on to the caller, before anything has run.

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

    def run(self, anthropic: Any, **params: Any) -> Any:
        """Run the loop to its end, and return the last message; *params* are those of `tool_runner`, no stream."""
        message = None
        for each in self.iterate(anthropic, **params):
            message = each
        return message

    async def run_async(self, anthropic: Any, **params: Any) -> Any:
        """Like `run`, for an AsyncAnthropic."""
        message = None
        async for each in self.iterate_async(anthropic, **params):
            message = each
        return message

    def iterate(self, anthropic: Any, **params: Any) -> Iterator[Any]:
        """
        Give each message as `tool_runner` does; with `stream=True`, each stream of events.

        The run ends when the loop is over, left, or raises. A loop of streams that policy has stopped just ends.
        """
        with unbound(self._invocations, lambda: self._about(params)) as invocation:
            yield from self._turns(invocation, anthropic, params)

    async def iterate_async(self, anthropic: Any, **params: Any) -> AsyncIterator[Any]:
        """Like `iterate`, for an AsyncAnthropic."""
        async with unbound_async(self._invocations, lambda: self._about(params)) as invocation:
            async for each in self._turns_async(invocation, anthropic, params):
                yield each

    def _turns(self, invocation: Invocation, anthropic: Any, params: Mapping[str, Any]) -> Iterator[Any]:
        talk = _Talk(invocation, params.get("system"), list(params["messages"]))
        first = {**params, "messages": talk.begin(), "tools": self._tools(invocation, params)}
        runner = anthropic.beta.messages.tool_runner(**first)
        for each in runner:
            if not params.get("stream"):
                talk.heard(each)
            yield each
            message = each
            if params.get("stream"):
                message = each.get_final_message()
                talk.heard(message)
            # Makes the calls now, not when the next message is asked for: the loop can still be ended then.
            answer = runner.generate_tool_call_response() if message.stop_reason == "tool_use" else None
            if invocation.should_stop:
                runner.close()
                if not params.get("stream"):
                    yield _last_words(message)
                return
            talk.answer(message, answer)

    async def _turns_async(
        self, invocation: Invocation, anthropic: Any, params: Mapping[str, Any]
    ) -> AsyncIterator[Any]:
        talk = _Talk(invocation, params.get("system"), list(params["messages"]))
        messages = await to_thread(talk.begin)
        first = {**params, "messages": messages, "tools": self._tools(invocation, params)}
        runner = anthropic.beta.messages.tool_runner(**first)
        async for each in runner:
            if not params.get("stream"):
                await to_thread(talk.heard, each)
            yield each
            message = each
            if params.get("stream"):
                message = await each.get_final_message()
                await to_thread(talk.heard, message)
            answer = await runner.generate_tool_call_response() if message.stop_reason == "tool_use" else None
            if invocation.should_stop:
                await runner.close()
                if not params.get("stream"):
                    yield _last_words(message)
                return
            await to_thread(talk.answer, message, answer)

    def _about(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {"actor": self._settings.actor_of(params)}

    def _tools(self, invocation: Invocation, params: Mapping[str, Any]) -> list[Any]:
        tools: Iterable[Any] = params.get("tools", ())
        return [tool if isinstance(tool, Mapping) else self._governed(invocation, tool) for tool in tools]

    def _governed(self, invocation: Invocation, tool: Any) -> Any:
        """Return a copy of *tool* that asks before it runs."""
        body = getattr(tool, "call", None)
        if body is None:
            raise ConfigError("tools", type(tool).__name__, "functions under @beta_tool, or dicts")
        governed_tool = copy.copy(tool)
        wrapped = _calling_async if inspect.iscoroutinefunction(body) else _calling
        governed_tool.call = wrapped(invocation, tool.name, self._settings.tags_of(tool.name), body)
        return governed_tool


def _calling(invocation: Invocation, name: str, tags: Any, body: Callable[[object], Any]) -> Callable[[object], Any]:
    def call(input: object) -> Any:  # noqa: A002  # the SDK's own name
        with bound(invocation.run):
            wanted = ToolCall(name=name, args=input, tags=tags)
            return _used(governed(invocation.gate, wanted, lambda: body(input)))

    return call


def _calling_async(
    invocation: Invocation, name: str, tags: Any, body: Callable[[object], Any]
) -> Callable[[object], Any]:
    async def call(input: object) -> Any:  # noqa: A002  # the SDK's own name
        with bound(invocation.run):
            wanted = ToolCall(name=name, args=input, tags=tags)
            return _used(await governed_async(invocation.gate, wanted, lambda: body(input)))

    return call


def _used(result: Any) -> Any:
    if isinstance(result, Refusal):
        raise ToolError(result.text)
    return result


@define
class _Talk:
    """
    What one loop and its model have said to each other.

    Attributes:
        system: The instructions.

        messages: The rest, as the caller and the tools said it.
    """

    invocation: Invocation
    system: Any
    messages: list[Any]
    asked_at: float = 0

    def begin(self) -> list[Any]:
        """Record what has been said so far; return the messages as redactors have left them."""
        rewritten = self._tell()
        return [_rewritten(each, rewritten.get(place)) for place, each in enumerate(self.messages)]

    def heard(self, message: Any) -> None:
        """Record what the model said."""
        self.invocation.from_model(_response(message, (perf_counter() - self.asked_at) * 1000))

    def answer(self, message: Any, answer: dict[str, Any] | None) -> None:
        """Record the tools' results; *answer* is what the SDK will send, and is changed where redactors do."""
        if answer is None:
            return
        self.messages += [{"role": "assistant", "content": message.content}, dict(answer)]
        rewritten = self._tell().get(len(self.messages) - 1)
        answer.update(_rewritten(answer, rewritten))

    def _tell(self) -> Mapping[int, LLMMessage]:
        told = [_message({"role": "system", "content": self.system})] if self.system else []
        begin = len(told)
        told += [_message(each) for each in self.messages]
        rewritten = self.invocation.to_model([Keyed(fingerprint(each), each) for each in told])
        self.asked_at = perf_counter()
        return {place - begin: message for place, message in rewritten.items()}


def _rewritten(message: Any, changed: LLMMessage | None) -> Any:
    return message if changed is None else {**message, "content": changed.content}


def _message(message: Any) -> LLMMessage:
    content = message["content"]
    parts = content if isinstance(content, str) else _parts(content)
    is_answer = not isinstance(parts, str) and any(part.get("type") == "tool_result" for part in parts)
    return LLMMessage("tool" if is_answer else message["role"], parts)


def _parts(content: Iterable[Any]) -> list[dict[str, Any]]:
    return [dict(part) if isinstance(part, Mapping) else part.model_dump(mode="json") for part in content]


def _response(message: Any, duration_ms: float) -> LLMResponse:
    parts: list[dict[str, Any]] = []
    for block in message.content:
        if block.type == "tool_use":
            parts.append({"type": "tool_call", "toolCallId": block.id, "toolName": block.name, "args": block.input})
        elif block.type == "text":
            parts.append({"type": "text", "text": block.text})
    used = message.usage
    # What is read from, or written into, the prompt cache is no part of `input_tokens`.
    read = used.input_tokens + (used.cache_read_input_tokens or 0) + (used.cache_creation_input_tokens or 0)
    return LLMResponse(
        content=parts, model=message.model, usage=TokenUsage(read, used.output_tokens), duration_ms=duration_ms
    )


def _last_words(message: Any) -> Any:
    said = [BetaTextBlock(type="text", text=STOPPED)]
    return message.model_copy(update={"content": said, "stop_reason": "end_turn"})
