"""
CrewAI 1.x: governs the crews, agents and flows that are kicked off inside a block.

    from handlebar.integrations.crewai import HandlebarHooks

    hooks = HandlebarHooks()
    with hooks.governing(actor="user-123"):
        result = crew.kickoff(inputs={…})

and `async with hooks.governing_async():` for `kickoff_async` and `akickoff`; consume a stream inside the block. A
blocked tool's body never runs: the model gets the refusal as the tool's result. Where policy stops the run, the model
is not asked again, and RunTerminatedError leaves the block. Delegated work and nested agents are governed too. What
cannot be: `tool.run()` and `LLM.call(…, available_functions=…)` called by code of yours, and what a provider runs by
itself. Of a tool that raises, CrewAI tells its message only. Needs the extra `crewai`; tested with 1.15.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any

from crewai.events import LLMCallCompletedEvent, crewai_event_bus
from crewai.hooks import HookAborted, InterceptionPoint
from crewai.hooks.dispatch import get_scoped_hooks, scoped_hooks

from handlebar._plumbing import logs
from handlebar._plumbing.awaiting import to_thread
from handlebar._plumbing.interrupts import is_interrupt
from handlebar.core.client import HandlebarClient
from handlebar.core.messages import LLMMessage, LLMResponse, TokenUsage
from handlebar.core.run import Run
from handlebar.core.schema.agents import Actor
from handlebar.errors import RunTerminatedError
from handlebar.integrations.governing.bracket import opened, opened_async
from handlebar.integrations.governing.deltas import Keyed, fingerprint
from handlebar.integrations.governing.gate import Outcome, Refusal, ToolCall
from handlebar.integrations.governing.invocation import Invocation, Invocations
from handlebar.integrations.governing.settings import Settings

_ERROR = "Error executing tool: "
"""How CrewAI begins the result of a tool that has raised."""

_governing: ContextVar[Invocation | None] = ContextVar("handlebar_crewai", default=None)
"""Whose model answers the event bus tells of: it is one for the whole process, and hands its context on."""


class HandlebarHooks:
    """
    Governs what is kicked off inside its blocks; thread-safe, one may serve many crews.

    A block inside `with client.run(...)` belongs to that run; any other gets one of its own, which ends with it.

    Args:
        client: Whose policies apply; None for the process's default client.

        tool_tags: Tags by tool name, as CrewAI writes it for the model: lower case, words joined by `_`.

        wait_for_approval: Seconds to wait where a person has to approve a call; None for not at all.
    """

    def __init__(
        self,
        client: HandlebarClient | None = None,
        *,
        tool_tags: Mapping[str, Sequence[str]] | None = None,
        wait_for_approval: float | None = None,
    ) -> None:
        self._invocations = Invocations(client, wait_for_approval=wait_for_approval)
        self._settings = Settings(tool_tags=tool_tags)

    @contextmanager
    def governing(self, *, actor: Actor | str | None = None, session_id: str | None = None) -> Iterator[Run]:
        """
        Govern what is kicked off inside the block, and give its run.

        Args:
            actor: Whom a run acts for that is started here.

            session_id: Its session.

        Raises:
            RunTerminatedError: Policy has stopped the run.
        """
        with opened(self._invocations, lambda: {"actor": actor, "session_id": session_id}) as invocation:
            with self._hooked(invocation):
                yield invocation.run
            _flush()

    @asynccontextmanager
    async def governing_async(
        self, *, actor: Actor | str | None = None, session_id: str | None = None
    ) -> AsyncIterator[Run]:
        """Like `governing`."""
        about = {"actor": actor, "session_id": session_id}
        async with opened_async(self._invocations, lambda: about) as invocation:
            with self._hooked(invocation):
                yield invocation.run
            await to_thread(_flush)

    @contextmanager
    def _hooked(self, invocation: Invocation) -> Iterator[None]:
        _listen()
        calls = _Calls(invocation, self._settings)
        mine = {
            InterceptionPoint.PRE_TOOL_CALL: calls.before,
            InterceptionPoint.POST_TOOL_CALL: calls.after,
            InterceptionPoint.PRE_MODEL_CALL: calls.to_model,
        }
        # Ours come last: what is decided on is what the user's own hooks have left.
        merged: Any = {point: get_scoped_hooks(point) for point in InterceptionPoint}
        for point, hook in mine.items():
            merged[point].append(hook)
        token = _governing.set(invocation)
        try:
            with scoped_hooks(merged):
                yield
        except HookAborted as error:
            if not invocation.should_stop:
                raise
            raise RunTerminatedError(invocation.gate.stop) from error
        finally:
            _governing.reset(token)


class _Calls:
    """
    The hooks of one block; thread-safe.

    CrewAI runs the tool when a hook raises anything but HookAborted, so that nothing else may leave these.
    """

    def __init__(self, invocation: Invocation, settings: Settings) -> None:
        self._invocation = invocation
        self._settings = settings
        self._lock = threading.Lock()
        self._refused: dict[int, Refusal] = {}

    def before(self, context: Any) -> bool | None:
        """Decide; False blocks the call."""
        try:
            refusal = self._invocation.gate.before(self._wanted(context))
        except BaseException as error:
            # Ctrl-C and the like go on; the rest would let the tool run.
            if not isinstance(error, Exception) or is_interrupt(error):
                raise
            raise HookAborted("The call could not be asked about") from error
        if refusal is None:
            return None
        with self._lock:
            self._refused[id(context.tool_input)] = refusal
        return False

    def after(self, context: Any) -> str | None:
        """Record the result, or tell the model why there is none; where the run is stopped, the agent ends here."""
        with self._lock:
            refusal = self._refused.pop(id(context.tool_input), None)
        if refusal is None:
            refusal = self._invocation.gate.after(str(id(context.tool_input)), _outcome(context))
        if self._invocation.should_stop:
            raise HookAborted(self._invocation.gate.stop.message)
        return None if refusal is None else refusal.text

    def to_model(self, context: Any) -> None:
        """Record what goes to the model; ask it nothing where policy has stopped the run."""
        if self._invocation.should_stop:
            raise HookAborted(self._invocation.gate.stop.message)
        rewritten = self._invocation.to_model([_keyed(each) for each in context.messages])
        for place, message in rewritten.items():
            context.messages[place] = {**context.messages[place], "content": message.content}
        if rewritten:
            # CrewAI keeps what is written into the list, and will show it again.
            self._invocation.deltas.unseen([_keyed(each) for each in context.messages])

    def _wanted(self, context: Any) -> ToolCall:
        own = getattr(getattr(context.tool, "_original_tool", None), "tags", None) or ()
        tags = self._settings.tags_of(context.tool_name, own)
        # CrewAI has no id of a call, but gives both hooks the same dict, which lives as long as the call.
        return ToolCall(name=context.tool_name, args=context.tool_input, call_id=str(id(context.tool_input)), tags=tags)


def _outcome(context: Any) -> Outcome:
    result = context.raw_tool_result if context.raw_tool_result is not None else context.tool_result
    if isinstance(result, str) and result.startswith(_ERROR):
        return Outcome(error=result.removeprefix(_ERROR))
    return Outcome(result)


def _keyed(message: Mapping[str, Any]) -> Keyed:
    content = message.get("content") or ""
    role: Any = message.get("role", "user")
    told = LLMMessage(role, content if isinstance(content, str) else [dict(part) for part in content])
    return Keyed((fingerprint(told), message.get("tool_call_id")), told)


_listening = threading.Lock()
_heard: list[Any] = []


def _listen() -> None:
    """Begin to hear what models answer, once in a process: handlers of the bus see every crew's events."""
    with _listening:
        if not _heard:
            _heard.append(crewai_event_bus.on(LLMCallCompletedEvent)(_answered))


def _answered(source: Any, event: Any) -> None:
    invocation = _governing.get()
    if invocation is not None:
        invocation.from_model(_response(event))


def _flush() -> None:
    """Wait until the bus, whose handlers run in threads of their own, has told everything."""
    if not crewai_event_bus.flush(timeout=10):
        logs.warn_once_a_minute("crewai", "Some model answers of a crew came too late to be recorded")


def _response(event: Any) -> LLMResponse:
    used = event.usage or {}
    usage = TokenUsage(used.get("prompt_tokens"), used.get("completion_tokens")) if used else None
    return LLMResponse(content=_parts(event.response), model=event.model or "unknown", usage=usage)


def _parts(response: Any) -> Any:
    if not isinstance(response, list):
        return response if isinstance(response, str) else [{"type": "text", "text": str(response)}]
    calls = [each.get("function", {}) for each in response if isinstance(each, dict)]
    return [{"type": "tool_call", "toolName": call.get("name"), "args": call.get("arguments")} for call in calls]
