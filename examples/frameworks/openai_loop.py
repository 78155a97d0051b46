"""OpenAI's client: our tool loop; offline, the client is answered by a script instead of the network."""

from __future__ import annotations

import json

import httpx2
from desk import ARGUMENTS, ONLINE, QUESTION, hb, issue_refund, report
from openai import OpenAI

from handlebar.integrations.openai import HandlebarToolLoop


def scripted(request: httpx2.Request) -> httpx2.Response:
    """Want the refund, and then give up."""
    function = {"name": "issue_refund", "arguments": json.dumps(ARGUMENTS)}
    message = {"role": "assistant", "tool_calls": [{"id": "call-1", "type": "function", "function": function}]}
    if b'"role":"tool"' in request.content.replace(b" ", b""):
        message = {"role": "assistant", "content": "I may not do that."}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return httpx2.Response(200, json={"id": "1", "object": "chat.completion", "model": "scripted", "choices": [choice]})


fields = {"order_id": {"type": "string"}, "amount": {"type": "number"}}
schema = {"name": "issue_refund", "parameters": {"type": "object", "properties": fields}}
offline = httpx2.Client(transport=httpx2.MockTransport(scripted))
with OpenAI() if ONLINE else OpenAI(api_key="none", http_client=offline) as client:
    completion = HandlebarToolLoop(hb, actor="user-123").run(
        client,
        model="gpt-4o-mini",
        tools=[{"type": "function", "function": schema}],
        functions={"issue_refund": issue_refund},
        messages=[{"role": "user", "content": QUESTION}],
    )
report(completion.choices[0].message.content)
