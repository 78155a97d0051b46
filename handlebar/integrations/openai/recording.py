"""An OpenAI client whose responses are recorded, for the SDK's Responses runner."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from time import perf_counter
from typing import Any

from attrs import evolve, frozen

from handlebar._plumbing.awaiting import to_thread
from handlebar.core.messages import LLMResponse, TokenUsage
from handlebar.integrations.governing.deltas import Keyed, fingerprint
from handlebar.integrations.governing.invocation import Invocation
from handlebar.integrations.openai.items import message_of, parts_of, rewritten

Heard = Callable[[Any], None]
"""Records an answer of the model."""

_LAST = ("response.completed", "response.incomplete", "response.failed")
"""The events that end a stream: each holds the whole answer."""


@frozen(eq=False)
class _Double:
    """Has every attribute of the SDK's object that it stands for."""

    _original: Any

    def __getattr__(self, name: str) -> Any:
        """Look there for what is not here."""
        return getattr(self._original, name)


@frozen(eq=False)
class Recorded(_Double):
    """An OpenAI that records each call of `responses.create`."""

    _invocation: Invocation

    def with_options(self, **options: Any) -> Recorded:
        """Return a client with other options, recorded too: the runner may want one that does not retry."""
        return evolve(self, original=self._original.with_options(**options))

    copy = with_options  # the SDK has both names

    @property
    def responses(self) -> Any:
        """What the runner calls."""
        return _Responses(self._original.responses, self._invocation)


@frozen(eq=False)
class RecordedAsync(Recorded):
    """Like `Recorded`, for an AsyncOpenAI."""

    @property
    def responses(self) -> Any:
        """What the runner calls."""
        return _AsyncResponses(self._original.responses, self._invocation)


@frozen(eq=False)
class _Responses(_Double):
    _invocation: Invocation

    def create(self, **params: Any) -> Any:
        request = _told(self._invocation, params)
        heard = _listening(self._invocation)
        answer = self._original.create(**request)
        if params.get("stream"):
            return _Stream(answer, heard)
        heard(answer)
        return answer


@frozen(eq=False)
class _AsyncResponses(_Double):
    _invocation: Invocation

    async def create(self, **params: Any) -> Any:
        request = await to_thread(_told, self._invocation, params)
        heard = _listening(self._invocation)
        answer = await self._original.create(**request)
        if params.get("stream"):
            return _AsyncStream(answer, heard)
        await to_thread(heard, answer)
        return answer


@frozen(eq=False)
class _Stream(_Double):
    _heard: Heard

    def __iter__(self) -> Iterator[Any]:
        for event in self._original:
            if event.type in _LAST:
                self._heard(event.response)
            yield event


@frozen(eq=False)
class _AsyncStream(_Double):
    _heard: Heard

    async def __aiter__(self) -> AsyncIterator[Any]:
        async for event in self._original:
            if event.type in _LAST:
                await to_thread(self._heard, event.response)
            yield event


def _told(invocation: Invocation, params: Mapping[str, Any]) -> Mapping[str, Any]:
    """Record what is new in a request, and return it as redactors have left it."""
    given, instructions = params.get("input"), params.get("instructions")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else list(given or ())
    first = [{"role": "system", "content": instructions}] if instructions else []
    said = [message_of(item) for item in [*first, *items]]
    changed = invocation.to_model([Keyed(fingerprint(each), each) for each in said])
    if not changed:
        return params
    redacted = [rewritten(item, changed.get(place)) for place, item in enumerate([*first, *items])]
    told = {"instructions": redacted[0]["content"]} if first else {}
    return {**params, **told, "input": redacted[len(first) :]}


def _listening(invocation: Invocation) -> Heard:
    """Return what records the answer to a question that is asked now."""
    asked_at = perf_counter()
    return lambda response: _hear(invocation, response, (perf_counter() - asked_at) * 1000)


def _hear(invocation: Invocation, response: Any, duration_ms: float) -> None:
    used = response.usage
    invocation.from_model(
        LLMResponse(
            content=parts_of(response.output or ()),
            model=response.model,
            usage=TokenUsage(used.input_tokens, used.output_tokens) if used else None,
            duration_ms=duration_ms,
        )
    )
