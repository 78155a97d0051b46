"""Model providers' HTTP APIs on loopback, answered from a script."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from attrs import Factory, frozen
from werkzeug.wrappers import Request, Response

Event = tuple[str, dict[str, Any]]
"""An event of a stream: its name, and its data."""


@frozen
class Step:
    """
    What the model says next: that it wants *calls*, or *text*.

    Attributes:
        number: Of the answer, from 0; ids are made of it.
    """

    number: int
    calls: tuple[str, ...]
    what: str
    text: str

    def arguments(self) -> str:
        """Return what every call is given."""
        return json.dumps({"what": self.what})

    def ids(self) -> list[tuple[str, str]]:
        """Return each call's id and name."""
        return [(f"c-{self.number}-{place}", name) for place, name in enumerate(self.calls)]


@frozen(eq=False)
class Api:
    """
    A provider, as a WSGI app: wants the tools of one step after another, and then says that it is done.

    Attributes:
        whole: Makes the answer to a step in one piece.

        streamed: Makes the events of the answer to a step.

        said: Counts the model's answers in a request.

        seen: The bodies of the requests.
    """

    whole: Callable[[Step], dict[str, Any]]
    streamed: Callable[[Step], Iterable[Event]]
    said: Callable[[dict[str, Any]], int]
    steps: tuple[str, ...]
    what: str = "it"
    seen: list[dict[str, Any]] = Factory(list)
    _lock: threading.Lock = Factory(threading.Lock)

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """Answer a request."""
        body = json.loads(Request(environ).get_data())
        with self._lock:
            self.seen.append(body)
        step = self._next(body)
        if "broken" in self.steps:
            response = Response('{"error": {"message": "no model"}}', 400, content_type="application/json")
        elif body.get("stream"):
            response = Response(_lines(self.streamed(step)), content_type="text/event-stream")
        else:
            response = Response(json.dumps(self.whole(step)), content_type="application/json")
        return response(environ, start_response)

    def _next(self, body: dict[str, Any]) -> Step:
        number = self.said(body)
        calls = tuple(self.steps[number].split()) if number < len(self.steps) else ()
        return Step(number, calls, self.what, "" if calls else "done")


def _lines(events: Iterable[Event]) -> Iterator[str]:
    for name, data in events:
        yield f"event: {name}\ndata: {json.dumps(data)}\n\n" if name else f"data: {json.dumps(data)}\n\n"
    yield "data: [DONE]\n\n"


def anthropic_api(*steps: str, what: str = "it") -> Api:
    """Return Anthropic's Messages API."""
    return Api(_message, _message_events, _assistants, steps, what)


def _assistants(body: dict[str, Any]) -> int:
    thread = body.get("thread") or {}
    # The SDK leaves out what the API has got already; our ids tell how far the talk has come.
    if "previous_message_id" in thread:
        return int(thread["previous_message_id"].removeprefix("m-")) + 1
    return sum(message["role"] == "assistant" for message in body["messages"])


def _message(step: Step) -> dict[str, Any]:
    calls = [{"type": "tool_use", "id": id_, "name": name, "input": {"what": step.what}} for id_, name in step.ids()]
    return {
        "id": f"m-{step.number}",
        "type": "message",
        "role": "assistant",
        "model": "a-model",
        "content": calls or [{"type": "text", "text": step.text}],
        "stop_reason": "tool_use" if calls else "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 7, "cache_read_input_tokens": 3, "output_tokens": 5},
    }


def _message_events(step: Step) -> Iterator[Event]:
    message = _message(step)
    usage = {**message["usage"], "output_tokens": 1}
    start = {**message, "content": [], "stop_reason": None, "usage": usage}
    yield "message_start", {"type": "message_start", "message": start}
    for index, block in enumerate(message["content"]):
        is_text = block["type"] == "text"
        empty = {**block, "text": ""} if is_text else {**block, "input": {}}
        delta = (
            {"type": "text_delta", "text": step.text}
            if is_text
            else {"type": "input_json_delta", "partial_json": step.arguments()}
        )
        yield "content_block_start", {"type": "content_block_start", "index": index, "content_block": empty}
        yield "content_block_delta", {"type": "content_block_delta", "index": index, "delta": delta}
        yield "content_block_stop", {"type": "content_block_stop", "index": index}
    end = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield "message_delta", {"type": "message_delta", "delta": end, "usage": {"output_tokens": 5}}
    yield "message_stop", {"type": "message_stop"}


def openai_api(*steps: str, what: str = "it") -> Api:
    """Return OpenAI's chat completions."""
    return Api(_completion, _completion_chunks, _assistants, steps, what)


def _completion(step: Step) -> dict[str, Any]:
    message = {"role": "assistant", "content": step.text or None, "tool_calls": _function_calls(step) or None}
    reason = "tool_calls" if step.calls else "stop"
    return {
        "id": f"m-{step.number}",
        "object": "chat.completion",
        "created": 1,
        "model": "a-model",
        "choices": [{"index": 0, "message": message, "finish_reason": reason, "logprobs": None}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }


def _function_calls(step: Step) -> list[dict[str, Any]]:
    return [
        {"id": id_, "type": "function", "function": {"name": name, "arguments": step.arguments()}}
        for id_, name in step.ids()
    ]


def _completion_chunks(step: Step) -> Iterator[Event]:
    whole = _completion(step)
    chunk = {**whole, "object": "chat.completion.chunk", "usage": None}
    for index, call in enumerate(_function_calls(step)):
        yield "", {**chunk, "choices": [_piece({"role": "assistant", "tool_calls": [{"index": index, **call}]})]}
    for text in (step.text[:2], step.text[2:]):
        yield "", {**chunk, "choices": [_piece({"role": "assistant", "content": text} if text else {})]}
    yield "", {**chunk, "choices": [_piece({}, whole["choices"][0]["finish_reason"])]}
    yield "", {**chunk, "choices": [], "usage": whole["usage"]}


def _piece(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": reason}


def responses_api(*steps: str, what: str = "it") -> Api:
    """Return OpenAI's Responses API."""
    return Api(_api_response, _response_events, _outputs, steps, what)


def _outputs(body: dict[str, Any]) -> int:
    ids = {item["call_id"].split("-")[1] for item in body["input"] if item.get("type") == "function_call"}
    return len(ids)


def _api_response(step: Step) -> dict[str, Any]:
    calls = [
        {"type": "function_call", "id": f"f{id_}", "call_id": id_, "name": name, "arguments": step.arguments()}
        for id_, name in step.ids()
    ]
    text = {"type": "output_text", "text": step.text, "annotations": []}
    message = {"type": "message", "id": f"t-{step.number}", "role": "assistant", "content": [text]}
    output = [{**item, "status": "completed"} for item in calls or [message]]
    return {
        "id": f"m-{step.number}",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "a-model",
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15},
    }


def _response_events(step: Step) -> Iterator[Event]:
    whole = _api_response(step)
    pieces: list[dict[str, Any]] = [{"type": "response.created", "response": {**whole, "output": []}}]
    for index, item in enumerate(whole["output"]):
        pieces += _item_events(index, item)
    pieces.append({"type": "response.completed", "response": whole})
    for number, piece in enumerate(pieces):
        yield piece["type"], {**piece, "sequence_number": number}


def _item_events(index: int, item: dict[str, Any]) -> list[dict[str, Any]]:
    place = {"output_index": index, "item_id": item["id"]}
    is_call = item["type"] == "function_call"
    empty = {**item, "status": "in_progress", **({"arguments": ""} if is_call else {"content": []})}
    added = {"type": "response.output_item.added", "output_index": index, "item": empty}
    done = {"type": "response.output_item.done", "output_index": index, "item": item}
    if is_call:
        text, kind = item["arguments"], "response.function_call_arguments"
        delta = {"type": f"{kind}.delta", "delta": text, **place}
        return [added, delta, {"type": f"{kind}.done", "arguments": text, "name": item["name"], **place}, done]
    part, place = item["content"][0], {**place, "content_index": 0}
    said = {"type": "response.output_text.delta", "delta": part["text"], "logprobs": [], **place}
    whole = {"type": "response.output_text.done", "text": part["text"], "logprobs": [], **place}
    begin = {"type": "response.content_part.added", "part": {**part, "text": ""}, **place}
    return [added, begin, said, whole, {"type": "response.content_part.done", "part": part, **place}, done]
