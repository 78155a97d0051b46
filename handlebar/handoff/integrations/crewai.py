"""
CrewAI: hand-offs of a crew's work, as an adapter and a tool.

The tool needs `crewai`; tested with crewai 1.15.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from handlebar._plumbing.awaiting import awaitable, to_thread
from handlebar.handoff.async_client import AsyncHandoffRailClient
from handlebar.handoff.client import HandoffRailClient
from handlebar.handoff.integrations.base import BaseAdapter
from handlebar.handoff.integrations.changes import Parts
from handlebar.handoff.integrations.crewai_messages import as_messages, as_turns, result_text
from handlebar.handoff.integrations.missing import missing
from handlebar.handoff.integrations.tool_actions import Wish, perform, unusable
from handlebar.handoff.models import PacketResponse, Priority

try:
    from crewai.tools import BaseTool as Tool

    from handlebar.handoff.integrations.tool_arguments import DESCRIPTION, ToolArguments
except ModuleNotFoundError:
    Tool = missing("crewai")
    DESCRIPTION, ToolArguments = "", None  # type: ignore[assignment,misc]  # nobody can make the tool then


class CrewAIAdapter(BaseAdapter):
    """
    A crew, or an agent of CrewAI, that hands over and takes over; see `BaseAdapter`.

        adapter.handoff_from_task(task.output, "billing", summary="Pay the customer back")
        crew.kickoff(inputs=adapter.resume_conversation(packet))
    """

    def extract_conversation(self, context: Any) -> list[dict[str, Any]]:
        """
        Return the turns of a conversation or of work that was done; empty where *context* is none.

        Args:
            context: Messages as dicts; a text, which an agent said; a task; the output of a task, an agent or a
                crew; or a list of any of these.
        """
        return as_turns(context)

    def resume_conversation(self, packet: PacketResponse) -> dict[str, Any]:
        """
        Return what a crew is kicked off with: of plain values only, as `inputs` have to be.

        Its `conversation` is a list of messages, as `Agent.kickoff` takes it.
        """
        return {
            "summary": packet.context.summary,
            "conversation": as_messages(packet.context.conversation_state),
            "pending_actions": [
                {"id": each.id, "description": each.description, "assignee": each.assignee}
                for each in packet.actions.pending
            ],
            "decisions": [
                {"id": each.id, "decision": each.decision, "rationale": each.rationale} for each in packet.decisions
            ],
            "source_agent": packet.metadata.source_agent.name,
            "source_agent_id": packet.metadata.source_agent.id,
            "priority": str(packet.metadata.priority.value),
            **_question(packet),
            **_artifacts(packet),
        }

    def handoff_from_task(
        self,
        task_result: Any,
        target_agent_id: str,
        target_agent_name: str | None = None,
        summary: str = "",
        *,
        target_framework: str | None = None,
        priority: Priority | str = Priority.NORMAL,
        tags: Sequence[str] | None = None,
        decisions: Parts | None = None,
        pending_actions: Parts | None = None,
    ) -> PacketResponse:
        """
        Hand over the result of a task.

        Args:
            task_result: A task's output, or anything whose text tells.

            target_agent_id: Who takes over.

            target_agent_name: Its name for people; its id where it is None.

            summary: What this is about; needed.

            target_framework: What that agent is built with.

            priority: `low`, `normal`, `high` or `critical`.

            tags: Words to find the packet by.

            decisions: What was decided.

            pending_actions: What is still to be done.

        Raises:
            ValidationError: A part is missing, or is not what it should be; nothing was sent.
        """
        return self.create_handoff(
            target_agent_id,
            target_agent_name or target_agent_id,
            summary,
            target_framework=target_framework,
            priority=priority,
            tags=tags,
            conversation_state=[{"role": "agent", "content": f"Task result: {result_text(task_result)}"}],
            decisions=decisions,
            pending_actions=pending_actions,
        )

    ahandoff_from_task = awaitable(handoff_from_task)

    def _default_framework(self) -> str:
        return "crewai"


class HandoffRailCrewAITool(Tool):
    """
    Lets a crew's model hand over, claim, look at, change and complete packets by itself.

    Whatever the model says, it answers in JSON text. In both ways, `run` and `arun`; the latter works in a worker
    thread.

    Args:
        client: What the hand-offs go through.

        name: What the model calls it.

        description: What the model reads of it.

        agent_id: Whose they are, where the model does not say.

        agent_name: The same, its name.
    """

    client: Any
    agent_id: str = "unknown"
    agent_name: str = "Unknown"

    def __init__(
        self,
        client: HandoffRailClient | AsyncHandoffRailClient,
        name: str = "handoffrail",
        description: str | None = None,
        **options: Any,
    ) -> None:
        told = description or DESCRIPTION
        super().__init__(client=client, name=name, description=told, args_schema=ToolArguments, **options)

    def run(self, *args: Any, **wanted: Any) -> Any:
        """Do what is wanted."""
        try:
            return super().run(*args, **wanted)
        except ValueError as error:  # arguments that do not fit the schema
            return unusable(error)

    async def arun(self, *args: Any, **wanted: Any) -> Any:
        """Like `run`."""
        try:
            return await super().arun(*args, **wanted)
        except ValueError as error:  # as above
            return unusable(error)

    def _run(self, action: str, agent_id: str | None = None, agent_name: str | None = None, **wanted: Any) -> str:
        adapter = CrewAIAdapter(self.client, agent_id or self.agent_id, agent_name or agent_id or self.agent_name)
        return perform(adapter, action, Wish.of(wanted))

    async def _arun(self, action: str, **wanted: Any) -> str:
        return await to_thread(self._run, action, **wanted)


def _question(packet: PacketResponse) -> dict[str, Any]:
    if packet.hitl is None or not packet.hitl.required:
        return {}
    question = {"hitl_required": True, "hitl_question": packet.hitl.question, "hitl_options": packet.hitl.options}
    return {**question, "hitl_response": packet.hitl.response}


def _artifacts(packet: PacketResponse) -> dict[str, Any]:
    found = {each.key: each.value for each in packet.context.artifacts}
    return {"artifacts": found} if found else {}
