"""
LangChain: hand-offs of conversations, as an adapter, a callback handler and a tool.

Needs `langchain-core`, but for the adapter's own part of the work; tested with langchain 1.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from handlebar._plumbing.awaiting import to_thread
from handlebar._plumbing.logs import warn_once_a_minute
from handlebar.handoff.async_client import AsyncHandoffRailClient
from handlebar.handoff.client import HandoffRailClient
from handlebar.handoff.exceptions import HandoffRailError, invalid
from handlebar.handoff.integrations.base import BaseAdapter
from handlebar.handoff.integrations.langchain_messages import as_messages, as_turns
from handlebar.handoff.integrations.langchain_runs import Runs
from handlebar.handoff.integrations.missing import missing
from handlebar.handoff.integrations.tool_actions import Wish, perform, unusable
from handlebar.handoff.models import PacketResponse

try:
    from langchain_core.callbacks import BaseCallbackHandler as Handler
    from langchain_core.tools import BaseTool as Tool

    from handlebar.handoff.integrations.tool_arguments import DESCRIPTION, ToolArguments
except ModuleNotFoundError:
    Handler = Tool = missing("langchain-core")
    DESCRIPTION, ToolArguments = "", None  # type: ignore[assignment,misc]  # nobody can make the tool then


class LangChainAdapter(BaseAdapter):
    """
    An agent of LangChain or LangGraph that hands over and takes over; see `BaseAdapter`.

        adapter.create_handoff("billing", "Billing", "…", conversation_state=adapter.extract_conversation(state))
        agent.invoke({"messages": adapter.resume_conversation(packet)})
    """

    def extract_conversation(self, context: Any) -> list[dict[str, Any]]:
        """
        Return the turns of a conversation; empty where *context* is none.

        Args:
            context: Messages or chunks of them, dicts, pairs, a text, a prompt, an agent's state, or anything else
                that has `messages`.
        """
        return as_turns(context)

    def resume_conversation(self, packet: PacketResponse) -> list[Any]:
        """
        Return messages of LangChain: what it is about and what is still to be done, then the conversation.

        The first is the only one that is added: models take instructions at the beginning only.
        """
        lines = [f"Handoff context: {packet.context.summary}"]
        if packet.actions.pending:
            todo = (f"- {each.description} (assignee: {each.assignee})" for each in packet.actions.pending)
            lines += ["", "Pending actions:", *todo]
        from langchain_core.messages import SystemMessage

        return [SystemMessage("\n".join(lines)), *as_messages(packet.context.conversation_state)]

    def _default_framework(self) -> str:
        return "langchain"


class HandoffRailCallbackHandler(Handler):
    """
    Collects what is said in a chain, and may hand over at its end; for `config={"callbacks": [handler]}`.

    A run is the outermost chain, whatever is nested in it: it makes one hand-off at most, with its own conversation.
    One that fails, or is interrupted, makes none. May be used for many runs, also at once; thread-safe. Where a
    hand-off itself fails, the chain goes on, and a warning is logged.

    Args:
        adapter: Who hands over.

        auto_handoff: Whether to hand over at the end of each run.

        target_agent_id: Who takes over then.

        target_agent_name: Its name for people; its id where it is None.

        summary_template: What it is about; `{agent_name}` is who hands over.

    Raises:
        ValidationError: It is to hand over, and nobody is named who takes over, or the template has other fields.
    """

    def __init__(
        self,
        adapter: BaseAdapter,
        auto_handoff: bool = False,
        target_agent_id: str | None = None,
        target_agent_name: str | None = None,
        summary_template: str = "Handoff from {agent_name}",
    ) -> None:
        super().__init__()
        if auto_handoff and not target_agent_id:
            raise invalid("target_agent_id", "is needed to hand over")
        self._adapter = adapter
        self._target = (target_agent_id or "", target_agent_name or target_agent_id or "") if auto_handoff else None
        self._summary = _filled_in(summary_template, adapter)
        self._runs = Runs()
        self._last_packet: PacketResponse | None = None

    @property
    def conversation(self) -> list[dict[str, Any]]:
        """The turns of the latest run so far."""
        return self._runs.latest.turns

    @property
    def last_packet(self) -> PacketResponse | None:
        """The latest hand-off that was made here."""
        return self._last_packet

    def on_chain_start(
        self, serialized: Any, inputs: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **more: Any
    ) -> None:
        """Begin a run, or a part of one."""
        self._runs.begin(run_id, parent_run_id, inputs)

    def on_chat_model_start(
        self, serialized: Any, messages: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **more: Any
    ) -> None:
        """Note what a model is asked."""
        transcript = self._runs.begin(run_id, parent_run_id)
        for batch in messages:
            transcript.asked(batch)

    def on_llm_start(
        self, serialized: Any, prompts: list[str], *, run_id: UUID, parent_run_id: UUID | None = None, **more: Any
    ) -> None:
        """Note what a model without messages is asked."""
        self._runs.begin(run_id, parent_run_id).asked(prompts)

    def on_llm_end(self, response: Any, *, run_id: UUID, **more: Any) -> None:
        """Note what a model has answered."""
        self._runs.find(run_id).answered(_answer(first[0]) for first in response.generations if first)
        self._runs.end(run_id)

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **more: Any) -> None:
        """Forget the call."""
        self._runs.end(run_id)

    def on_tool_start(
        self, serialized: Any, input_str: str, *, run_id: UUID, parent_run_id: UUID | None = None, **more: Any
    ) -> None:
        """Note whose part a tool call is."""
        self._runs.begin(run_id, parent_run_id)

    def on_tool_end(self, output: Any, *, run_id: UUID, **more: Any) -> None:
        """Note what a tool has returned."""
        self._runs.find(run_id).returned(output)
        self._runs.end(run_id)

    def on_tool_error(self, error: BaseException, *, run_id: UUID, **more: Any) -> None:
        """Forget the call."""
        self._runs.end(run_id)

    def on_chain_end(self, outputs: Any, *, run_id: UUID, **more: Any) -> None:
        """End a part, or the run: that is when it is handed over."""
        transcript = self._runs.find(run_id)
        if self._runs.end(run_id) and not transcript.is_paused:
            transcript.ended(outputs)
            self._hand_over(transcript.turns)

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **more: Any) -> None:
        """End a part, or the run, without a hand-off; an interrupt of LangGraph's pauses the whole run."""
        if any(kind.__name__ == "GraphInterrupt" for kind in type(error).__mro__):
            self._runs.find(run_id).is_paused = True
        self._runs.end(run_id)

    def _hand_over(self, turns: Sequence[dict[str, Any]]) -> None:
        if self._target is None:
            return
        try:
            self._last_packet = self._adapter.create_handoff(*self._target, self._summary, conversation_state=turns)
        except HandoffRailError as error:
            warn_once_a_minute("handoff-callback", "A hand-off at the end of a chain failed: %s", type(error).__name__)


class HandoffRailTool(Tool):
    """
    Lets a model hand over, claim, look at, change and complete packets by itself.

    Whatever the model says, it answers in JSON text. In both ways, `invoke` and `ainvoke`; the latter works in a
    worker thread.

    Args:
        client: What the hand-offs go through.

        agent_id: Whose they are, where the model does not say.

        agent_name: The same, its name.
    """

    name: str = "handoffrail"
    description: str = DESCRIPTION
    args_schema: Any = ToolArguments
    handle_validation_error: Any = unusable
    client: Any
    agent_id: str = "unknown"
    agent_name: str = "Unknown"

    def __init__(self, client: HandoffRailClient | AsyncHandoffRailClient, **options: Any) -> None:
        super().__init__(client=client, **options)

    def _run(self, action: str, *, agent_id: str | None = None, agent_name: str | None = None, **wanted: Any) -> str:
        adapter = LangChainAdapter(self.client, agent_id or self.agent_id, agent_name or agent_id or self.agent_name)
        return perform(adapter, action, Wish.of(wanted))

    async def _arun(self, action: str, **wanted: Any) -> str:
        return await to_thread(self._run, action, **wanted)


def _filled_in(template: str, adapter: BaseAdapter) -> str:
    try:
        return template.format(agent_name=adapter.agent_name, agent_id=adapter.agent_id)
    except (LookupError, ValueError, AttributeError) as error:
        raise invalid("summary_template", "may have the fields {agent_name} and {agent_id} only") from error


def _answer(generation: Any) -> Any:
    """Return the message that a model gave; one without messages gives text."""
    return getattr(generation, "message", None) or ("ai", generation.text)
