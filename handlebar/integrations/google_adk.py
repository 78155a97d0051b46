"""
Google ADK 2.x: a plugin that governs the agents of a runner.

    from handlebar.integrations.google_adk import HandlebarPlugin

    runner = InMemoryRunner(agent, plugins=[HandlebarPlugin()])

A blocked tool's body never runs: the model gets `{"error": …}` as the function's response. Where policy stops the run,
the model is not asked again, and the agent's answer is a sentence that says so. Sub-agents, agents used as tools, MCP
toolsets and `transfer_to_agent` are governed like any tool; what a model's provider runs by itself (search grounding,
code execution) cannot be.

With `on_approval="interrupt"`, a call that waits for a person interrupts the run as ADK's own tool confirmations do: by
an `adk_request_confirmation` that the client answers, with `{"confirmed": True}`, when the person has answered. That
alone approves nothing: the person's answer is looked for in the control plane, and as long as there is none, the same
confirmation is requested again. `{"confirmed": False}` rejects the call. Calls of agents used as tools are blocked
while they wait. Needs the extra `google-adk`; tested with 2.13.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any, Literal

from google.adk.models import LlmResponse
from google.adk.plugins.base_plugin import BasePlugin
from google.adk.tools.tool_confirmation import ToolConfirmation
from google.genai import types

from handlebar._plumbing.awaiting import to_thread
from handlebar.core import current
from handlebar.core.client import HandlebarClient
from handlebar.core.messages import LLMMessage, LLMResponse, TokenUsage
from handlebar.core.schema.agents import Actor
from handlebar.core.schema.governance import HitlPendingCause
from handlebar.integrations.governing.deltas import Keyed, fingerprint
from handlebar.integrations.governing.gate import Outcome, Refusal, ToolCall
from handlebar.integrations.governing.invocation import Invocation, Invocations
from handlebar.integrations.governing.settings import STOPPED, ActorLoader, Settings

_REQUEST = "adk_request_confirmation"
"""What ADK calls its requests for confirmation."""

_QUESTION = "handlebar_approval_id"
"""Where such a request holds the id of the question to a person."""

_REJECTED = "This tool call is rejected."


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

        on_approval: What happens where nobody has answered: `block` the call, or `interrupt` the run by a request for
            confirmation.

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
        on_approval: Literal["block", "interrupt"] = "block",
        run_ttl_ms: float | None = None,
        name: str = "handlebar",
    ) -> None:
        super().__init__(name=name)
        self._invocations = Invocations(client, wait_for_approval=wait_for_approval)
        self._settings = Settings(actor, tool_tags)
        self._run_ttl_ms = run_ttl_ms
        self._asked_at: dict[str, float] = {}
        self._interrupts = on_approval == "interrupt"
        self._waiting: dict[str, str] = {}

    async def before_run_callback(self, *, invocation_context: Any) -> types.Content | None:
        """Start the run, or find the caller's; where it is confirmed before the person has answered, request again."""
        await to_thread(self._found, invocation_context)
        asked = await to_thread(self._still_asked, invocation_context)
        if not asked:
            return None
        author, _ = asked[0]
        self._waiting[invocation_context.invocation_id] = author
        return types.Content(role="model", parts=[types.Part(function_call=call) for _, call in asked])

    async def on_event_callback(self, *, invocation_context: Any, event: Any) -> None:
        """Make a request that is repeated look like the first one; ADK writes it as the model's, without an agent."""
        author = self._waiting.get(invocation_context.invocation_id)
        if author is not None and event.author == "model":
            event.author = author
            event.long_running_tool_ids = {call.id for call in event.get_function_calls()}

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
        confirmation = tool_context.tool_confirmation
        if self._interrupts and confirmation is not None and not confirmation.confirmed:
            return {"error": _REJECTED}
        invocation = await to_thread(self._found, tool_context)
        own = (getattr(tool, "custom_metadata", None) or {}).get("handlebar_tags", ())
        tags = self._settings.tags_of(tool.name, own)
        call = ToolCall(name=tool.name, args=tool_args, call_id=tool_context.function_call_id, tags=tags)
        refusal = await to_thread(invocation.gate.before, call)
        if refusal is None:
            # Bound for the tool's body, which runs in the same task; `_ended` takes it back.
            current.push(invocation.run)
        # ADK takes a request from a call that has not been confirmed yet only.
        elif self._interrupts and confirmation is None and isinstance(refusal.decision.cause, HitlPendingCause):
            payload = {_QUESTION: refusal.decision.cause.approval_id}
            tool_context.request_confirmation(hint=refusal.decision.message, payload=payload)
            # The run ends here, and the model is not asked what to make of the refusal.
            tool_context.actions.skip_summarization = True
            self._waiting[tool_context.invocation_id] = tool_context.agent_name
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
            return self._invocations.find(found.run_id)
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
        waits = self._waiting.pop(context.invocation_id, None) is not None
        invocation = self._found(context)
        # An agent used as a tool ends within the run of the agent that uses it.
        if invocation.run.run_id != context.invocation_id:
            return
        # ADK keeps the id of an invocation that goes on when a confirmation comes.
        if waits and error is None:
            self._invocations.park(invocation)
        else:
            self._invocations.finish(invocation, error)

    def _still_asked(self, context: Any) -> list[tuple[str, Any]]:
        """Return the requests that the user confirms, and who made them, if a person has yet to answer one of them."""
        confirmed = _confirmed(context.session.events) if self._interrupts else set()
        if not confirmed:
            return []
        made = {
            call.id: (event.author, call)
            for event in context.session.events
            for call in event.get_function_calls()
            if call.id in confirmed
        }
        questions = [_question(call) for _, call in made.values()]
        is_open = any(question is not None and self._invocations.is_open(question) for question in questions)
        return list(made.values()) if is_open else []


def _confirmed(events: Sequence[Any]) -> set[str]:
    """Return the ids of the requests that the user's last message confirms."""
    last = next((event for event in reversed(events) if event.author == "user"), None)
    return {
        each.id
        for each in (last.get_function_responses() if last else ())
        if each.name == _REQUEST and ToolConfirmation.from_response_dict(each.response or {}).confirmed
    }


def _question(call: Any) -> str | None:
    """Return the id of the question to a person that a request is about; None where a tool requires it by itself."""
    payload = ((call.args or {}).get("toolConfirmation") or {}).get("payload")
    return payload.get(_QUESTION) if isinstance(payload, dict) else None


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
