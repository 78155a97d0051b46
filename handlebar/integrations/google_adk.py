"""
Google ADK 2.x: a plugin that governs the agents of a runner.

    from handlebar.integrations.google_adk import HandlebarPlugin

    runner = InMemoryRunner(agent, plugins=[HandlebarPlugin()])

A blocked tool's body never runs: the model gets `{"error": …}` as the function's response. Where policy stops the run,
the model is not asked again, and the agent's answer is a sentence that says so. Sub-agents, agents used as tools, MCP
toolsets and `transfer_to_agent` are governed like any tool; what a model's provider runs by itself (search grounding,
code execution) cannot be. Needs the extra `google-adk`; tested with 2.13.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any

from google.adk.models import LlmResponse
from google.adk.plugins.base_plugin import BasePlugin
from google.genai import types

from handlebar._plumbing.awaiting import to_thread
from handlebar.core import current
from handlebar.core.client import HandlebarClient
from handlebar.core.messages import LLMMessage, LLMResponse, TokenUsage
from handlebar.core.schema.agents import Actor
from handlebar.integrations.governing.deltas import Keyed, fingerprint
from handlebar.integrations.governing.gate import Outcome, Refusal, ToolCall
from handlebar.integrations.governing.invocation import Invocation, Invocations
from handlebar.integrations.governing.settings import STOPPED, ActorLoader, Settings


class HandlebarPlugin(BasePlugin):
    """
    Governs every run of the runners that it is given to; thread-safe, one may serve many runners.

    A run inside `with client.run(...)` belongs to that one; any other gets a run of its own, which ends with it. Its
    session is ADK's, and it acts for ADK's `user_id` where *actor* says nothing else.

    Args:
        client: Whose policies apply; None for the process's default client.

        actor: Whom a run acts for, or a function of ADK's InvocationContext that tells.

        tool_tags: Tags by tool name; those under `handlebar_tags` in a tool's `custom_metadata` are added to them.

        wait_for_approval: Seconds to wait where a person has to approve a call; None for not at all.

        run_ttl_ms: Milliseconds after which a run ends by itself: ADK does not tell when a run is cancelled.

        name: The plugin's name.
    """

    def __init__(
        self,
        client: HandlebarClient | None = None,
        *,
        actor: Actor | str | ActorLoader | None = None,
        tool_tags: Mapping[str, Sequence[str]] | None = None,
        wait_for_approval: float | None = None,
        run_ttl_ms: float | None = None,
        name: str = "handlebar",
    ) -> None:
        super().__init__(name=name)
        self._invocations = Invocations(client, wait_for_approval=wait_for_approval)
        self._settings = Settings(actor, tool_tags)
        self._run_ttl_ms = run_ttl_ms
        self._asked_at: dict[str, float] = {}

    async def before_run_callback(self, *, invocation_context: Any) -> None:
        """Start the run, or find the caller's."""
        await to_thread(self._found, invocation_context)

    async def after_run_callback(self, *, invocation_context: Any) -> None:
        """End the run."""
        await to_thread(self._finish, invocation_context, None)

    async def on_run_error_callback(self, *, invocation_context: Any, error: Exception) -> None:
        """End the run."""
        await to_thread(self._finish, invocation_context, error)

    async def before_model_callback(self, *, callback_context: Any, llm_request: Any) -> LlmResponse | None:
        """Record what goes to the model; ask it nothing where policy has stopped the run."""
        invocation = await to_thread(self._found, callback_context)
        if invocation.should_stop:
            return LlmResponse(content=types.Content(role="model", parts=[types.Part(text=STOPPED)]))
        self._asked_at[callback_context.invocation_id] = perf_counter()
        await to_thread(invocation.to_model, [Keyed(fingerprint(each), each) for each in _messages(llm_request)])
        return None

    async def after_model_callback(self, *, callback_context: Any, llm_response: Any) -> None:
        """Record what the model answered, when it is whole."""
        if llm_response.partial or llm_response.content is None:
            return
        invocation = await to_thread(self._found, callback_context)
        asked_at = self._asked_at.pop(callback_context.invocation_id, None)
        # Our own last words come by here too; the model never said them.
        if asked_at is not None:
            taken = (perf_counter() - asked_at) * 1000
            await to_thread(invocation.from_model, _response(callback_context, llm_response, taken))

    async def before_tool_callback(self, *, tool: Any, tool_args: Any, tool_context: Any) -> dict[str, Any] | None:
        """Decide."""
        invocation = await to_thread(self._found, tool_context)
        own = (getattr(tool, "custom_metadata", None) or {}).get("handlebar_tags", ())
        tags = self._settings.tags_of(tool.name, own)
        call = ToolCall(name=tool.name, args=tool_args, call_id=tool_context.function_call_id, tags=tags)
        refusal = await to_thread(invocation.gate.before, call)
        if refusal is None:
            # Bound for the tool's body, which runs in the same task; `_ended` takes it back.
            current.push(invocation.run)
        return _shown(refusal)

    async def after_tool_callback(
        self, *, tool: Any, tool_args: Any, tool_context: Any, result: Any
    ) -> dict[str, Any] | None:
        """Record the result."""
        return _shown(await self._ended(tool_context, Outcome(result)))

    async def on_tool_error_callback(
        self, *, tool: Any, tool_args: Any, tool_context: Any, error: Exception
    ) -> dict[str, Any] | None:
        """Record the error, which goes on."""
        await self._ended(tool_context, Outcome(error=error))
        return None

    async def _ended(self, tool_context: Any, outcome: Outcome) -> Refusal | None:
        invocation = await to_thread(self._found, tool_context)
        current.pop(invocation.run)
        return await to_thread(invocation.gate.after, tool_context.function_call_id, outcome)

    def _found(self, context: Any) -> Invocation:
        """Return the invocation of any of ADK's contexts; ADK's own id of it is the id of a run of ours."""
        found = current.get_current_run()
        if found is not None:
            return self._invocations.begin()
        return self._invocations.find(context.invocation_id, lambda: self._about(context))

    def _about(self, context: Any) -> dict[str, Any]:
        actor = self._settings.actor_of(context)
        return {
            "actor": context.user_id if actor is None else actor,
            "session_id": context.session.id,
            "run_ttl_ms": self._run_ttl_ms,
        }

    def _finish(self, context: Any, error: Exception | None) -> None:
        self._asked_at.pop(context.invocation_id, None)
        invocation = self._found(context)
        # An agent used as a tool ends within the run of the agent that uses it.
        if invocation.run.run_id == context.invocation_id:
            self._invocations.finish(invocation, error)


def _shown(refusal: Refusal | None) -> dict[str, Any] | None:
    return None if refusal is None else {"error": refusal.text}


def _messages(request: Any) -> list[LLMMessage]:
    """Return the whole conversation: ADK builds it anew for each call, without ids."""
    system = getattr(request.config, "system_instruction", None)
    told = [LLMMessage("system", system if isinstance(system, str) else [_plain(system)])] if system else []
    for content in request.contents:
        told += [_message(content.role, part) for part in content.parts or ()]
    return told


def _message(role: str | None, part: Any) -> LLMMessage:
    speaker: Any = "assistant" if role == "model" else "tool" if part.function_response else "user"
    return LLMMessage(speaker, part.text if part.text else [_plain(part)])


def _plain(value: Any) -> dict[str, Any]:
    dumped: dict[str, Any] = value.model_dump(mode="json", exclude_none=True) if hasattr(value, "model_dump") else {}
    return dumped


def _response(context: Any, response: Any, duration_ms: float) -> LLMResponse:
    parts: list[dict[str, Any]] = []
    for part in response.content.parts or ():
        if part.function_call:
            wanted = part.function_call
            parts.append({"type": "tool_call", "toolCallId": wanted.id, "toolName": wanted.name, "args": wanted.args})
        elif part.text:
            parts.append({"type": "text", "text": part.text})
    used = response.usage_metadata
    return LLMResponse(
        content=parts,
        model=response.model_version or "unknown",
        usage=TokenUsage(used.prompt_token_count, _written(used)) if used else None,
        duration_ms=duration_ms,
    )


def _written(used: Any) -> int:
    """Return how many tokens the model wrote, thoughts included."""
    return (used.candidates_token_count or 0) + (used.thoughts_token_count or 0)
