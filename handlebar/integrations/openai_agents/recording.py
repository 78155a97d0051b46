"""What goes to the model and what it answers, and what tools raise, told to our run."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from agents import RunHooks

from handlebar._plumbing.awaiting import is_awaitable, to_thread
from handlebar.core.messages import LLMMessage, LLMResponse, TokenUsage
from handlebar.integrations.governing.deltas import Keyed, fingerprint
from handlebar.integrations.governing.gate import Outcome
from handlebar.integrations.governing.invocation import Invocation
from handlebar.integrations.openai.items import message_of, parts_of


def recording(invocation: Invocation, own: Any) -> Any:
    """Return the user's *own* hooks, or none, that also record what goes to the model and what it answers."""
    before = RunHooks() if own is None else own
    hooks: Any = copy.copy(before)

    async def on_llm_start(context: Any, agent: Any, system_prompt: str | None, input_items: list[Any]) -> None:
        system = [LLMMessage("system", system_prompt)] if system_prompt else []
        messages = [*system, *(message_of(item) for item in input_items)]
        await to_thread(invocation.to_model, [Keyed(fingerprint(each), each) for each in messages])
        await before.on_llm_start(context, agent, system_prompt, input_items)

    async def on_llm_end(context: Any, agent: Any, response: Any) -> None:
        await to_thread(invocation.from_model, _response(agent, response))
        await before.on_llm_end(context, agent, response)

    hooks.on_llm_start, hooks.on_llm_end = on_llm_start, on_llm_end
    return hooks


def errors_recorded(invocation: Invocation, formatter: Any) -> Callable[[Any], Any]:
    """Return an error formatter that records what a tool raised, and then does what the user's own does."""

    async def formatted(arguments: Any) -> Any:
        if arguments.kind == "tool_exception":
            await to_thread(invocation.gate.after, arguments.call_id, Outcome(error=arguments.error))
        if formatter is None:
            return None
        text = formatter(arguments)
        return await text if is_awaitable(text) else text

    return formatted


def _response(agent: Any, response: Any) -> LLMResponse:
    model = agent.model if isinstance(agent.model, str) else getattr(agent.model, "model", None)
    return LLMResponse(
        content=parts_of(response.output),
        model=model if isinstance(model, str) and model else "unknown",
        usage=TokenUsage(response.usage.input_tokens, response.usage.output_tokens),
    )
