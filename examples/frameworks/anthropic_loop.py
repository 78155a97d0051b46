"""Anthropic's client: our tool runner; offline, the client is answered by a script instead of the network."""

from __future__ import annotations

import httpx2
from anthropic import Anthropic, beta_tool
from desk import ARGUMENTS, ONLINE, QUESTION, hb, issue_refund, report

from handlebar.integrations.anthropic import HandlebarToolRunner


def scripted(request: httpx2.Request) -> httpx2.Response:
    """Want the refund, and then give up."""
    wanted = {"type": "tool_use", "id": "call-1", "name": "issue_refund", "input": ARGUMENTS}
    given = b"tool_result" in request.content
    block = {"type": "text", "text": "I may not do that."} if given else wanted
    usage = {"input_tokens": 9, "output_tokens": 9}
    message = {"id": "m-1", "type": "message", "role": "assistant", "model": "scripted", "usage": usage}
    stop = "end_turn" if given else "tool_use"
    return httpx2.Response(200, json={**message, "content": [block], "stop_reason": stop})


offline = httpx2.Client(transport=httpx2.MockTransport(scripted))
with Anthropic() if ONLINE else Anthropic(api_key="none", http_client=offline) as client:
    message = HandlebarToolRunner(hb, actor="user-123").run(
        client,
        model="claude-sonnet-4-5",
        max_tokens=1024,
        tools=[beta_tool(issue_refund)],
        messages=[{"role": "user", "content": QUESTION}],
    )
report(message.content[0].text)
