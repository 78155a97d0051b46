"""A planner that asks a language model, through the OpenAI client."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any

from handlebar import ModelInfo, TokenUsage
from refund_desk_parts.conversation import Conversation, Step, ToolCall
from refund_desk_parts.planner import Turn

_JSON_TYPES = {"str": "string", "float": "number"}


class OpenAIPlanner:
    """
    Lets a model choose the next tool; one tool a turn, so that each call is decided before the next is chosen.

    Holds a client with its pool of connections; safe to use from several threads.

    Args:
        client: An `openai.OpenAI`, or whatever answers like one.

        model: The model's name.

        tools: The tools by name; signatures and docstrings tell the model about them.
    """

    def __init__(self, *, client: Any, model: str, tools: Mapping[str, Callable[..., Any]]) -> None:
        self.model = ModelInfo(model, provider="openai")
        self._client = client
        self._tools = [_described(name, tool) for name, tool in tools.items()]

    def next_turn(self, conversation: Conversation) -> Turn:
        """Ask the model what to do next."""
        answer = self._client.chat.completions.create(
            model=self.model.name,
            messages=_chat(conversation),
            tools=self._tools,
            parallel_tool_calls=False,
        )
        message = answer.choices[0].message
        return Turn(message.content or "", _wanted(message.tool_calls), _usage(answer.usage))


def _chat(conversation: Conversation) -> list[dict[str, Any]]:
    """Return the conversation as the chat API takes it; each step is a call and its answer."""
    opening = len(conversation.messages) - len(conversation.steps)
    chat = [{"role": message.role, "content": message.content} for message in conversation.messages[:opening]]
    answers = conversation.messages[opening:]
    for number, (step, answer) in enumerate(zip(conversation.steps, answers, strict=True)):
        chat.append({"role": "assistant", "tool_calls": [_asked(number, step)]})
        chat.append({"role": "tool", "tool_call_id": f"call-{number}", "content": answer.content})
    return chat


def _asked(number: int, step: Step) -> dict[str, Any]:
    function = {"name": step.call.name, "arguments": json.dumps(dict(step.call.args))}
    return {"id": f"call-{number}", "type": "function", "function": function}


def _wanted(calls: Any) -> ToolCall | None:
    """Return the first call; arguments that are no JSON object go on as none, which the tool will refuse."""
    if not calls:
        return None
    function = calls[0].function
    try:
        args = json.loads(function.arguments)
    except ValueError:
        args = None
    return ToolCall(function.name, args if isinstance(args, dict) else {})


def _usage(usage: Any) -> TokenUsage | None:
    return None if usage is None else TokenUsage(usage.prompt_tokens, usage.completion_tokens)


def _described(name: str, tool: Callable[..., Any]) -> dict[str, Any]:
    parameters = inspect.signature(tool).parameters
    properties = {each.name: {"type": _JSON_TYPES[str(each.annotation)]} for each in parameters.values()}
    schema = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    described = {"name": name, "description": inspect.getdoc(tool), "parameters": schema}
    return {"type": "function", "function": described}
