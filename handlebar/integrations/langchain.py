"""
LangChain 1.x: a middleware that governs an agent's model and tool calls.

    from handlebar.integrations.langchain import HandlebarMiddleware

    agent = create_agent(model, tools, middleware=[HandlebarMiddleware(), ...])

Put it first, so that it stands outside of everything that retries. A blocked tool's body never runs: the model gets
the refusal as a ToolMessage of status `error`. Where policy stops the run, the model is not asked again, and the
agent ends. Sub-agents need a middleware of their own. Needs the extra `langchain`; tested with langchain 1.4 and 1.5.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import perf_counter
from typing import Annotated, Any, Literal

from attrs import frozen
from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest
from langchain.agents.middleware.types import PrivateStateAttr
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langgraph.config import get_config
from langgraph.errors import GraphBubbleUp
from langgraph.types import interrupt
from typing_extensions import NotRequired

from handlebar._plumbing.awaiting import to_thread
from handlebar.core.client import HandlebarClient
from handlebar.core.current import bound, get_current_run
from handlebar.core.messages import LLMMessage, LLMResponse, TokenUsage
from handlebar.core.schema.agents import Actor
from handlebar.integrations.governing.deltas import Keyed, fingerprint
from handlebar.integrations.governing.gate import Outcome, Refusal, ToolCall, governed, governed_async
from handlebar.integrations.governing.invocation import Invocation, Invocations
from handlebar.integrations.governing.settings import STOPPED, ActorLoader, Settings

_ROLES: Mapping[str, Any] = {"human": "user", "ai": "assistant", "system": "system", "tool": "tool", "function": "tool"}


class HandlebarState(AgentState):
    """What travels with the agent's state: the id of the run, hidden from input and output."""

    handlebar_run_id: NotRequired[Annotated[str, PrivateStateAttr]]  # type: ignore[valid-type]  # AgentState is a TypedDict


@frozen
class ToolCalls:
    """
    Makes the tool calls of LangGraph's requests, each if policy allows it.

    Attributes:
        settings: How tools are tagged, beside their own tags.

        interrupts: Whether a call that waits for a person interrupts the graph.
    """

    settings: Settings
    interrupts: bool = False

    def make(self, invocation: Invocation, request: Any, handler: Callable[[Any], Any]) -> Any:
        """Return what *handler* gives for *request*, or the message that says why not."""
        call = self._call(request)
        while True:
            with bound(invocation.run):
                result = governed(
                    invocation.gate, call, lambda: handler(request), outcome_of=_outcome, suspends=(GraphBubbleUp,)
                )
            if not self._has_to_wait(result):
                return _shown(call, result)
            invocation.run.park_sync()
            _wait(call, result)

    async def make_async(self, invocation: Invocation, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        """Like `make`."""
        call = self._call(request)
        while True:
            with bound(invocation.run):
                result = await governed_async(
                    invocation.gate, call, lambda: handler(request), outcome_of=_outcome, suspends=(GraphBubbleUp,)
                )
            if not self._has_to_wait(result):
                return _shown(call, result)
            await to_thread(invocation.run.park_sync)
            _wait(call, result)

    def _call(self, request: Any) -> ToolCall:
        wanted = request.tool_call
        tags = self.settings.tags_of(wanted["name"], _tags_of(request.tool))
        return ToolCall(name=wanted["name"], args=wanted["args"], call_id=wanted["id"], tags=tags)

    def _has_to_wait(self, result: Any) -> bool:
        return self.interrupts and isinstance(result, Refusal) and result.is_pending


class HandlebarMiddleware(AgentMiddleware):
    """
    Governs every invocation of the agents that it is given to; thread-safe, one may serve many agents.

    An invocation inside `with client.run(...)` belongs to that run; any other gets a run of its own, which ends with
    it. Its session is LangGraph's `thread_id`.

    Args:
        client: Whose policies apply; None for the process's default client.

        actor: Whom a run acts for, or a function of LangGraph's runtime that tells; an exception of its is raised
            before anything has run.

        tool_tags: Tags by tool name; a tool's own `tags` and `metadata["handlebar_tags"]` are added to them.

        wait_for_approval: Seconds to wait where a person has to approve a call; None for not at all.

        on_approval: What happens where nobody has answered: `block` the call, or `interrupt` the graph, which needs
            a checkpointer; resume it with any value when the person has answered. A tool that interrupts the graph by
            itself is better blocked: LangGraph hands it the first value, that which was meant for the approval.

        run_ttl_ms: Milliseconds after which a run ends by itself: LangChain does not tell when a caller abandons a
            stream.
    """

    state_schema = HandlebarState

    def __init__(
        self,
        client: HandlebarClient | None = None,
        *,
        actor: Actor | str | ActorLoader | None = None,
        tool_tags: Mapping[str, Sequence[str]] | None = None,
        wait_for_approval: float | None = None,
        on_approval: Literal["block", "interrupt"] = "block",
        run_ttl_ms: float | None = None,
    ) -> None:
        super().__init__()
        self._invocations = Invocations(client, wait_for_approval=wait_for_approval)
        self._settings = Settings(actor, tool_tags)
        self._calls = ToolCalls(self._settings, interrupts=on_approval == "interrupt")
        self._run_ttl_ms = run_ttl_ms

    def before_agent(self, state: Any, runtime: Any) -> dict[str, Any]:
        """Start the run, or find the caller's."""
        invocation = self._invocations.begin(lambda: self._about(runtime))
        return {"handlebar_run_id": invocation.run.run_id}

    async def abefore_agent(self, state: Any, runtime: Any) -> dict[str, Any]:
        """Like `before_agent`."""
        return await to_thread(self.before_agent, state, runtime)

    def after_agent(self, state: Any, runtime: Any) -> None:
        """End the run."""
        self._end(self._found(state, runtime))

    async def aafter_agent(self, state: Any, runtime: Any) -> None:
        """Like `after_agent`."""
        await to_thread(self.after_agent, state, runtime)

    def wrap_model_call(self, request: ModelRequest, handler: Callable[[ModelRequest], Any]) -> Any:
        """Record what goes to the model and what it answers; ask it nothing where policy has stopped the run."""
        invocation = self._found(request.state, request.runtime)
        if invocation.should_stop:
            return AIMessage(STOPPED)
        request = _told(invocation, request)
        began = perf_counter()
        try:
            with bound(invocation.run):
                response = handler(request)
        except BaseException as error:
            self._end(invocation, error)
            raise
        return _answered(invocation, request, response, (perf_counter() - began) * 1000)

    async def awrap_model_call(self, request: ModelRequest, handler: Callable[[ModelRequest], Awaitable[Any]]) -> Any:
        """Like `wrap_model_call`."""
        invocation = await to_thread(self._found, request.state, request.runtime)
        if invocation.should_stop:
            return AIMessage(STOPPED)
        request = await to_thread(_told, invocation, request)
        began = perf_counter()
        try:
            with bound(invocation.run):
                response = await handler(request)
        except BaseException as error:
            await to_thread(self._end, invocation, error)
            raise
        return await to_thread(_answered, invocation, request, response, (perf_counter() - began) * 1000)

    def wrap_tool_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
        """Make the call if policy allows it."""
        invocation = self._found(request.state, request.runtime)
        try:
            return self._calls.make(invocation, request, handler)
        except BaseException as error:
            self._end(invocation, error)
            raise

    async def awrap_tool_call(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        """Like `wrap_tool_call`."""
        invocation = await to_thread(self._found, request.state, request.runtime)
        try:
            return await self._calls.make_async(invocation, request, handler)
        except BaseException as error:
            await to_thread(self._end, invocation, error)
            raise

    def _found(self, state: Any, runtime: Any) -> Invocation:
        run_id = state.get("handlebar_run_id") if isinstance(state, Mapping) else None
        return self._invocations.find(run_id, lambda: self._about(runtime))

    def _about(self, runtime: Any) -> dict[str, Any]:
        thread_id = get_config().get("configurable", {}).get("thread_id")
        session_id = None if thread_id is None else str(thread_id)
        return {"actor": self._settings.actor_of(runtime), "session_id": session_id, "run_ttl_ms": self._run_ttl_ms}

    def _end(self, invocation: Invocation, error: BaseException | None = None) -> None:
        """
        End the run, also where an exception leaves it, for `after_agent` is not called then; an interrupt ends nothing.

        An agent in a tool's body does not: the run is that of the agent around it.
        """
        if get_current_run() is not invocation.run and not isinstance(error, GraphBubbleUp):
            self._invocations.finish(invocation, error)


def _wait(call: ToolCall, refusal: Refusal) -> None:
    """Interrupt the graph; return where it was resumed, too early perhaps: then ask, and interrupt it again."""
    interrupt({"tool": call.name, "args": call.args, "reason": refusal.decision.message})


def _shown(call: ToolCall, result: Any) -> Any:
    if not isinstance(result, Refusal):
        return result
    return ToolMessage(result.text, tool_call_id=call.call_id or "", name=call.name, status="error")


def _tags_of(tool: Any) -> list[str]:
    """Return the tags of a tool; there is none where the model made its name up."""
    metadata = getattr(tool, "metadata", None) or {}
    return [*(getattr(tool, "tags", None) or ()), *metadata.get("handlebar_tags", ())]


def _outcome(result: Any) -> Outcome:
    """Tell what a tool's message, or the command that it returned, means."""
    if not isinstance(result, ToolMessage):
        return Outcome(result)
    return Outcome(error=str(result.content)) if result.status == "error" else Outcome(result.content)


def _told(invocation: Invocation, request: Any) -> Any:
    """Record the messages of *request*, and return it as the redactors have left it."""
    instructions = [] if request.system_message is None else [request.system_message]
    messages: list[BaseMessage] = [*instructions, *request.messages]
    rewritten = invocation.to_model([_keyed(message) for message in messages])
    if not rewritten:
        return request
    for place, redacted in rewritten.items():
        messages[place] = messages[place].model_copy(update={"content": redacted.content})
    system = messages[0] if instructions else None
    return request.override(messages=messages[len(instructions) :], system_message=system)


def _keyed(message: BaseMessage) -> Keyed:
    content: Any = message.content
    if not isinstance(content, str):
        content = [part if isinstance(part, dict) else {"type": "text", "text": part} for part in content]
    told = LLMMessage(_ROLES.get(message.type, "user"), content)
    return Keyed(message.id or fingerprint(told), told)


def _answered(invocation: Invocation, request: Any, response: Any, duration_ms: float) -> Any:
    """Record the answers of the model in *response*."""
    for message in getattr(response, "result", [response]):
        if isinstance(message, AIMessage):
            invocation.from_model(_response(message, request.model, duration_ms))
    return response


def _response(message: AIMessage, model: Any, duration_ms: float) -> LLMResponse:
    calls = [
        {"type": "tool_call", "toolCallId": call["id"], "toolName": call["name"], "args": call["args"]}
        for call in message.tool_calls
    ]
    used = message.usage_metadata
    return LLMResponse(
        content=[{"type": "text", "text": message.text}, *calls],
        model=_model_name(message, model),
        usage=TokenUsage(used["input_tokens"], used["output_tokens"]) if used else None,
        duration_ms=duration_ms,
    )


def _model_name(message: AIMessage, model: Any) -> str:
    told = message.response_metadata
    names = (
        told.get("model_name"),
        told.get("model"),
        getattr(model, "model_name", None),
        getattr(model, "model", None),
    )
    return next((name for name in names if isinstance(name, str) and name), "unknown")
