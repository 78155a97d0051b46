"""
Plain LangGraph: governs the tools of a `ToolNode`, in graphs of your own.

    from handlebar.integrations.langgraph import governed_tool_node

    tools = governed_tool_node([search, issue_refund])
    with hb.run(actor="user-123"):
        graph.invoke(...)

A blocked tool's body never runs: the model gets the refusal as a ToolMessage of status `error`. Where policy stops
the run, every later call is refused; end your loop with an edge that asks `run.should_terminate`. A call that needs a
person's approval waits, or is blocked: were the graph interrupted in the node, LangGraph would make all its calls
again. Needs the extra `langchain`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from langgraph.prebuilt import ToolNode

from handlebar._plumbing.awaiting import to_thread
from handlebar.core.client import HandlebarClient
from handlebar.integrations.governing.invocation import Invocation, Invocations
from handlebar.integrations.governing.settings import Settings
from handlebar.integrations.langchain import ToolCalls


class _EachCall:
    """
    Wraps each tool call of a node: in the caller's run, or in one of its own where there is none.

    Args:
        invocations: Where the runs are found.

        calls: Makes the calls.
    """

    def __init__(self, invocations: Invocations, calls: ToolCalls) -> None:
        self._invocations = invocations
        self._calls = calls

    def wrap(self, request: Any, handler: Callable[[Any], Any]) -> Any:
        """Make the call if policy allows it."""
        invocation = self._invocations.begin()
        try:
            result = self._calls.make(invocation, request, handler)
        except BaseException as error:
            self._finish(invocation, error)
            raise
        self._finish(invocation)
        return result

    async def awrap(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        """Like `wrap`."""
        invocation = await to_thread(self._invocations.begin)
        try:
            result = await self._calls.make_async(invocation, request, handler)
        except BaseException as error:
            await to_thread(self._finish, invocation, error)
            raise
        await to_thread(self._finish, invocation)
        return result

    def _finish(self, invocation: Invocation, error: BaseException | None = None) -> None:
        self._invocations.finish(invocation, error)


def governed_tool_node(
    tools: Sequence[Any],
    client: HandlebarClient | None = None,
    *,
    tool_tags: Mapping[str, Sequence[str]] | None = None,
    wait_for_approval: float | None = None,
    **options: Any,
) -> ToolNode:
    """
    Return a `ToolNode` that asks before each call.

    Args:
        tools: As `ToolNode` takes them.

        client: Whose policies apply; None for the process's default client.

        tool_tags: Tags by tool name; a tool's own `tags` and `metadata["handlebar_tags"]` are added to them.

        wait_for_approval: Seconds to wait where a person has to approve a call; None for not at all.

        options: Passed to `ToolNode`.
    """
    invocations = Invocations(client, wait_for_approval=wait_for_approval)
    each = _EachCall(invocations, ToolCalls(Settings(tool_tags=tool_tags)))
    return ToolNode(tools, wrap_tool_call=each.wrap, awrap_tool_call=each.awrap, **options)
