"""MCP: a server with our extension, and a client that calls it; needs no model."""

from __future__ import annotations

import asyncio

from desk import ARGUMENTS, hb, issue_refund, report
from mcp import Client
from mcp.server import MCPServer

from handlebar.integrations.mcp import HandlebarExtension

server = MCPServer("desk", extensions=[HandlebarExtension(hb, actor="user-123")])
server.add_tool(issue_refund)


async def main() -> None:
    """Call the tool, and print the answer."""
    async with Client(server) as client:
        result = await client.call_tool("issue_refund", ARGUMENTS)
    report(result.content[0].text)


asyncio.run(main())
