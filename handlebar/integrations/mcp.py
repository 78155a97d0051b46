"""
MCP 2.x: a gate before the tools of a server, and one before those that a client calls.

    from handlebar.integrations.mcp import HandlebarExtension

    server = MCPServer("desk", extensions=[HandlebarExtension()])

A blocked tool's body never runs: the client gets the refusal as a result that `is_error`. On the other side,

    from handlebar.integrations.mcp import HandlebarSession

    async with Client("https://…/mcp") as client:
        tools = HandlebarSession(client)
        await tools.call_tool("search", {"what": "A-17"})

asks before anything is sent. A server has no loop to end: where policy stops a run, every later call of that run is
refused. Resources and prompts are not governed, nor is `server.call_tool()`, which goes past all extensions; a server
of the lower level takes `compose_tool_call_handler([HandlebarExtension()], handler)`. Of a tool that raises, a server
tells its extensions no more than its client: that there was an error. Needs the extra `mcp`; tested with 2.3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mcp.server.extension import Extension
from mcp.types import CallToolResult, TextContent

from handlebar.core.client import HandlebarClient
from handlebar.core.schema.agents import Actor
from handlebar.integrations.governing.bracket import opened_async
from handlebar.integrations.governing.gate import Outcome, Refusal, ToolCall, governed_async
from handlebar.integrations.governing.invocation import Invocations
from handlebar.integrations.governing.settings import ActorLoader, Settings


class HandlebarExtension(Extension):
    """
    Governs every tool call that a server gets; thread-safe, one may serve many servers.

    A call belongs to the run in which the server was started, as in `with client.run(...): server.run()`, which suits
    a server on stdio, that has one client. Without one, each call gets a run of its own.

    Args:
        client: Whose policies apply; None for the process's default client.

        actor: Whom a run acts for, or a function of the ServerRequestContext that tells; where it raises, the client
            gets an error, and nothing runs.

        tool_tags: Tags by tool name.

        wait_for_approval: Seconds to wait where a person has to approve a call; None for not at all.
    """

    identifier = "dev.handlebar/governance"

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

    async def intercept_tool_call(self, params: Any, ctx: Any, call_next: Any) -> Any:
        """Make the call if policy allows it."""
        wanted = ToolCall(name=params.name, args=params.arguments or {}, tags=self._settings.tags_of(params.name))
        async with opened_async(self._invocations, lambda: self._about(ctx)) as invocation:
            return _shown(await governed_async(invocation.gate, wanted, lambda: call_next(ctx), outcome_of=_outcome))

    def _about(self, ctx: Any) -> dict[str, Any]:
        headers = getattr(ctx.request, "headers", None) or {}
        return {"actor": self._settings.actor_of(ctx), "session_id": headers.get("mcp-session-id")}


class HandlebarSession:
    """
    A `Client` or `ClientSession` whose tool calls are asked about before they are sent.

    Everything else is the session's own. A call belongs to the current run; without one, it gets a run of its own.

    Args:
        session: What is wrapped; it is opened and closed by whoever owns it.

        client: Whose policies apply; None for the process's default client.

        actor: Whom a run acts for, or a function of the session that tells; what it raises goes on to the caller.

        tool_tags: Tags by tool name. What the server says about its tools is not believed.

        wait_for_approval: Seconds to wait where a person has to approve a call; None for not at all.
    """

    def __init__(
        self,
        session: Any,
        client: HandlebarClient | None = None,
        *,
        actor: Actor | str | ActorLoader | None = None,
        tool_tags: Mapping[str, Sequence[str]] | None = None,
        wait_for_approval: float | None = None,
    ) -> None:
        self._session = session
        self._invocations = Invocations(client, wait_for_approval=wait_for_approval)
        self._settings = Settings(actor, tool_tags)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    async def call_tool(self, name: str, arguments: dict[str, Any] | None = None, *args: Any, **options: Any) -> Any:
        """Make the call if policy allows it; takes and returns what the session's own does."""
        wanted = ToolCall(name=name, args=arguments or {}, tags=self._settings.tags_of(name))

        async def sent() -> Any:
            return await self._session.call_tool(name, arguments, *args, **options)

        about = {"actor": self._settings.actor_of(self._session)}
        async with opened_async(self._invocations, lambda: about) as invocation:
            return _shown(await governed_async(invocation.gate, wanted, sent, outcome_of=_outcome))


def _outcome(result: Any) -> Outcome:
    """Return what *result* means; where a server asks back, the call has not ended, and has no content yet."""
    content = [part.model_dump(mode="json", exclude_none=True) for part in getattr(result, "content", ())]
    if getattr(result, "is_error", False):
        return Outcome(error="\n".join(part.get("text", "") for part in content) or "The tool gave an error")
    return Outcome(getattr(result, "structured_content", None) or content)


def _shown(result: Any) -> Any:
    if not isinstance(result, Refusal):
        return result
    return CallToolResult(content=[TextContent(type="text", text=result.text)], is_error=True)
