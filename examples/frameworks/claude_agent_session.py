"""Claude Agent SDK: a governed session; offline, its command line asks a script on this machine."""

from __future__ import annotations

import asyncio
import json
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from claude_agent_sdk import ClaudeAgentOptions, ResultMessage, create_sdk_mcp_server, query, tool
from desk import ARGUMENTS, ONLINE, QUESTION, hb, issue_refund, report

from handlebar.integrations.claude_agent import HandlebarHooks


class Scripted(BaseHTTPRequestHandler):
    """Wants the refund, and then gives up."""

    def do_POST(self) -> None:  # the name that the library calls
        """Answer."""
        given = b"tool_result" in self.rfile.read(int(self.headers["content-length"]))
        name, wanted = "mcp__desk__issue_refund", json.dumps(ARGUMENTS)
        call = {"type": "tool_use", "id": "call-1", "name": name, "input": {}}
        block = {"type": "text", "text": ""} if given else call
        said = {"type": "text_delta", "text": "I may not do that."}
        delta = said if given else {"type": "input_json_delta", "partial_json": wanted}
        usage = {"input_tokens": 9, "output_tokens": 9}
        message = {"id": "m-1", "type": "message", "role": "assistant", "model": "scripted", "content": []}
        events: list[dict[str, Any]] = [
            {"type": "message_start", "message": {**message, "stop_reason": None, "usage": usage}},
            {"type": "content_block_start", "index": 0, "content_block": block},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn" if given else "tool_use"}, "usage": usage},
            {"type": "message_stop"},
        ]
        body = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events).encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


async def refund(args: dict[str, Any]) -> dict[str, Any]:
    """Make the desk's own tool one of the session's."""
    return {"content": [{"type": "text", "text": issue_refund(**args)}]}


issuing = tool("issue_refund", "Pay the money for an order back.", {"order_id": str, "amount": float})(refund)


async def main(folder: str, offline: dict[str, str]) -> None:
    """Ask, and print the answer."""
    options = ClaudeAgentOptions(
        mcp_servers={"desk": create_sdk_mcp_server("desk", tools=[issuing])},
        allowed_tools=["mcp__desk__issue_refund"],
        setting_sources=[],
        cwd=folder,
        env={} if ONLINE else offline,
    )
    async with HandlebarHooks(hb).governing(options, actor="user-123") as governed:
        async for message in query(prompt=QUESTION, options=governed.options):
            governed.heard(message)
            if isinstance(message, ResultMessage):
                report(message.result)


with ThreadingHTTPServer(("127.0.0.1", 0), Scripted) as server, tempfile.TemporaryDirectory() as folder:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    quiet = {"CLAUDE_CONFIG_DIR": folder, "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"}
    asyncio.run(main(folder, {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "none", **quiet}))
    server.shutdown()
