"""What a loop over chat completions and its model say to each other, told to our run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from time import perf_counter
from typing import Any

from attrs import define
from openai.lib.streaming.chat import ChatCompletionStreamState

from handlebar.core.messages import LLMMessage, LLMResponse, TokenUsage
from handlebar.integrations.governing.deltas import Keyed, fingerprint
from handlebar.integrations.governing.gate import Refusal
from handlebar.integrations.governing.invocation import Invocation


@define
class Talk:
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
