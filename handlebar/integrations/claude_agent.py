"""
Claude Agent SDK: hooks that govern the tools of a session, built-in ones and those of MCP servers.

    from handlebar.integrations.claude_agent import HandlebarHooks

    async with HandlebarHooks().governing(ClaudeAgentOptions(…)) as governed:
        async for message in query(prompt="Where is order A-17?", options=governed.options):
            governed.heard(message)

A blocked tool never runs: the model gets the refusal as the reason. Where policy stops the run, the model is not asked
again. A hook that fails, or takes too long, blocks (`on_failure="block"`). The SDK has no hook before the model is
asked, so that redactors change nothing there: prompts are recorded as they are submitted, answers by `heard`, tokens at
the end of the query. `can_use_tool` is not asked about allowed tools, and is no place to govern.

With `on_approval="interrupt"`, a call that waits for a person is deferred: the query ends with a ResultMessage that
tells of it in `deferred_tool_use`. When the person has answered, resume the session without a prompt:

    again = dataclasses.replace(options, resume=result.session_id)
    async with hooks.governing(again) as governed, ClaudeSDKClient(governed.options) as client:
        async for message in client.receive_response(): ...

A call that nobody has answered is deferred again. The SDK keeps one call: what else waits at the same time is blocked.
In another process, do so inside `client.resume_run(governed.run.resume_token)`. Tested with 0.2.187 and its command
line.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from typing import Any, Literal

from attrs import field, frozen
from claude_agent_sdk import AssistantMessage, HookMatcher, ResultMessage, TextBlock, ToolUseBlock

from handlebar._plumbing.awaiting import to_thread
from handlebar.core.client import HandlebarClient
from handlebar.core.messages import LLMMessage, LLMResponse, TokenUsage
from handlebar.core.run import Run
from handlebar.core.schema.agents import Actor
from handlebar.core.schema.governance import HitlPendingCause
from handlebar.integrations.governing.bracket import going_on
from handlebar.integrations.governing.gate import Outcome, Refusal, ToolCall
from handlebar.integrations.governing.invocation import Invocation, Invocations
from handlebar.integrations.governing.settings import Settings


@frozen(eq=False)
class Governed:
    """
    A session that is governed.

    Attributes:
        options: The user's options, with our hooks after the user's own.
    """

    options: Any
    _invocation: Invocation

    @property
    def run(self) -> Run:
        """The run."""
        return self._invocation.run

    def heard(self, message: Any) -> None:
        """Record what the model said, and at the end of a query the tokens; other messages are left alone."""
        if isinstance(message, AssistantMessage):
            self._invocation.from_model(LLMResponse(content=_parts(message), model=message.model))
        elif isinstance(message, ResultMessage) and message.usage:
            self._invocation.from_model(LLMResponse(content=[], model="unknown", usage=_usage(message.usage)))


class HandlebarHooks:
    """
    Governs sessions; thread-safe, one may serve many.

    A session inside `with client.run(...)` belongs to that run; any other gets one of its own, which ends with it.

    Args:
        client: Whose policies apply; None for the process's default client.

        tool_tags: Tags by tool name; those of MCP servers are called `mcp__<server>__<tool>`.

        wait_for_approval: Seconds to wait where a person has to approve a call; None for not at all.

        on_approval: What happens where nobody has answered: `block` the call, or `interrupt` the session.

        timeout: Seconds that a hook may take, waiting for a person included; then the call is blocked.
    """

    def __init__(
        self,
        client: HandlebarClient | None = None,
        *,
        tool_tags: Mapping[str, Sequence[str]] | None = None,
        wait_for_approval: float | None = None,
        on_approval: Literal["block", "interrupt"] = "block",
        timeout: float | None = None,
    ) -> None:
        self._invocations = Invocations(client, wait_for_approval=wait_for_approval)
        self._settings = Settings(tool_tags=tool_tags)
        self._interrupts = on_approval == "interrupt"
        self._timeout = timeout or 60 + (wait_for_approval or 0)

    @asynccontextmanager
    async def governing(
        self, options: Any, *, actor: Actor | str | None = None, session_id: str | None = None
    ) -> AsyncIterator[Governed]:
        """
        Give *options* with hooks that govern; for `query` or one `ClaudeSDKClient`, inside the block.

        Args:
            options: The session's `ClaudeAgentOptions`; they are left as they are.

            actor: Whom a run acts for that is started here.

            session_id: Its session.
        """
        about = {"actor": actor, "session_id": session_id}
        run_id = self._invocations.parked([options.resume] if options.resume else [])
        deferred: dict[str, str] = {}
        bracket = going_on(self._invocations, run_id, lambda: about, waits=lambda: deferred.values() or None)
        async with bracket as invocation:
            calls = _Calls(invocation, self._settings, deferred if self._interrupts else None)
            yield Governed(dataclasses.replace(options, hooks=self._hooks(calls, options.hooks)), invocation)

    def _hooks(self, calls: _Calls, own: Mapping[Any, list[Any]] | None) -> dict[Any, list[Any]]:
        mine = {
            "UserPromptSubmit": calls.asked,
            "PreToolUse": calls.before,
            "PostToolUse": calls.after,
            "PostToolUseFailure": calls.failed,
        }
        merged = {event: list(matchers) for event, matchers in (own or {}).items()}
        for event, hook in mine.items():
            matcher = HookMatcher(hooks=[hook], timeout=self._timeout, on_failure="block")
            merged[event] = [*merged.get(event, ()), matcher]
        return merged


@frozen(eq=False)
class _Calls:
    """
    The hooks of one session.

    Attributes:
        deferred: The SDK's session, by the call in it that waits for a person; None where calls do not interrupt.
    """

    invocation: Invocation
    settings: Settings
    deferred: dict[str, str] | None
    _one_at_a_time: asyncio.Lock = field(factory=asyncio.Lock)

    async def asked(self, given: Any, tool_use_id: str | None, context: Any) -> dict[str, Any]:
        """Record what the user said; a run that policy has stopped asks the model nothing."""
        if self.invocation.should_stop:
            return self._stop({"decision": "block", "reason": self.invocation.gate.stop.message})
        await to_thread(self.invocation.run.before_llm_sync, [LLMMessage("user", given["prompt"])])
        return {}

    async def before(self, given: Any, tool_use_id: str | None, context: Any) -> dict[str, Any]:
        """Decide."""
        name = given["tool_name"]
        tags = self.settings.tags_of(name)
        call = ToolCall(name=name, args=given["tool_input"], call_id=given["tool_use_id"], tags=tags)
        # The first that waits is the one that the question is about, not one that it only holds up.
        async with self._one_at_a_time if self.deferred is not None else nullcontext():
            refusal = await to_thread(self.invocation.gate.before, call)
            if refusal is None:
                return {}
            said = {"permissionDecision": self._verdict(refusal, given), "permissionDecisionReason": refusal.text}
        return self._stop({"hookSpecificOutput": {"hookEventName": "PreToolUse", **said}})

    def _verdict(self, refusal: Refusal, given: Any) -> str:
        """Defer the first call that waits for a person: the SDK forgets all but one."""
        if self.deferred is None or not refusal.is_pending or self.deferred:
            return "deny"
        self.deferred[given["tool_use_id"]] = given["session_id"]
        return "defer"

    async def after(self, given: Any, tool_use_id: str | None, context: Any) -> dict[str, Any]:
        """Record the result; one that may not be used is replaced."""
        return await self._ended(given, Outcome(given["tool_response"]))

    async def failed(self, given: Any, tool_use_id: str | None, context: Any) -> dict[str, Any]:
        """Record the error."""
        return await self._ended(given, Outcome(error=given["error"]))

    async def _ended(self, given: Any, outcome: Outcome) -> dict[str, Any]:
        refusal = await to_thread(self.invocation.gate.after, given["tool_use_id"], outcome)
        return self._stop({} if refusal is None else _replaced(refusal))

    def _stop(self, answer: dict[str, Any]) -> dict[str, Any]:
        stop = self.invocation.gate.stop
        waits = self.deferred is not None and isinstance(stop.cause, HitlPendingCause)
        if waits or not self.invocation.should_stop:
            return answer
        return {**answer, "continue_": False, "stopReason": self.invocation.gate.stop.message}


def _replaced(refusal: Refusal) -> dict[str, Any]:
    """Return the answer that keeps a result from the model; of built-in tools, the SDK takes text for a reason only."""
    said = {"hookEventName": "PostToolUse", "updatedToolOutput": refusal.text}
    return {"decision": "block", "reason": refusal.text, "hookSpecificOutput": said}


def _parts(message: Any) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    for block in message.content:
        if isinstance(block, TextBlock):
            parts.append({"type": "text", "text": block.text})
        elif isinstance(block, ToolUseBlock):
            parts.append({"type": "tool_call", "toolCallId": block.id, "toolName": block.name, "args": block.input})
    return parts


def _usage(used: Mapping[str, Any]) -> TokenUsage:
    read = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    return TokenUsage(sum(used.get(name) or 0 for name in read), used.get("output_tokens"))
