"""What all adapters are: an agent's own view of the hand-off client."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from handlebar._plumbing.awaiting import awaitable
from handlebar.handoff.asking import Id
from handlebar.handoff.async_client import AsyncHandoffRailClient
from handlebar.handoff.client import HandoffRailClient
from handlebar.handoff.integrations.changes import Parts, changed_actions, changed_context, more_decisions, named
from handlebar.handoff.models import (
    Actions,
    AgentInfo,
    ChainHandoffRequest,
    Decision,
    Metadata,
    PacketContext,
    PacketCreate,
    PacketResponse,
    PacketStatus,
    PacketUpdate,
    PendingAction,
    Priority,
    TargetAgentInfo,
)


class BaseAdapter(ABC):
    """
    One agent's view of the hand-off client: it hands over, claims and completes in its own name.

    To extend by a framework's terms for a conversation. Holds no state beside the client, which it neither makes nor
    closes; as thread-safe as that. Each method blocks; its twin with an `a` before the name is awaited instead, and
    works in a worker thread.

    Args:
        client: What the hand-offs go through; of an `AsyncHandoffRailClient` the blocking one that it holds.

        agent_id: Who this agent is.

        agent_name: Its name for people.

        framework: What it is built with; what the adapter is made for, where it is None.
    """

    def __init__(
        self,
        client: HandoffRailClient | AsyncHandoffRailClient,
        agent_id: str,
        agent_name: str,
        framework: str | None = None,
    ) -> None:
        self.client = client.blocking if isinstance(client, AsyncHandoffRailClient) else client
        self.agent_id = agent_id
        self.agent_name = agent_name
        self.framework = framework or self._default_framework()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.agent_id!r}>"

    @abstractmethod
    def extract_conversation(self, context: Any) -> list[dict[str, Any]]:
        """Return the turns of a framework's conversation, as `create_handoff` takes them."""

    @abstractmethod
    def resume_conversation(self, packet: PacketResponse) -> Any:
        """Return what a packet holds in a form that the framework takes."""

    def create_handoff(
        self,
        target_agent_id: str,
        target_agent_name: str,
        summary: str,
        *,
        target_framework: str | None = None,
        priority: Priority | str = Priority.NORMAL,
        tags: Sequence[str] | None = None,
        conversation_state: Parts | None = None,
        artifacts: Parts | None = None,
        decisions: Parts | None = None,
        pending_actions: Parts | None = None,
        dependencies: Parts | None = None,
        hitl: Any = None,
        custom: Mapping[str, Any] | None = None,
    ) -> PacketResponse:
        """
        Hand over to another agent.

        Args:
            target_agent_id: Who takes over.

            target_agent_name: Its name for people.

            summary: What this is about.

            target_framework: What that agent is built with.

            priority: `low`, `normal`, `high` or `critical`.

            tags: Words to find the packet by.

            conversation_state: The turns so far, e.g. of `extract_conversation`.

            artifacts: What was made or found.

            decisions: What was decided.

            pending_actions: What is still to be done.

            dependencies: What the work depends on.

            hitl: A question to a person, who has to answer first.

            custom: Entries of your own.

        Raises:
            ValidationError: A part is not what it should be; nothing was sent.
        """
        target = TargetAgentInfo(id=target_agent_id, name=target_agent_name, framework=target_framework)
        context = _context(summary, conversation_state, artifacts, custom)
        packet = PacketCreate(
            metadata=self._metadata(target, priority, tags),
            context=context,
            decisions=named("d", decisions, Decision),
            actions=Actions(pending=named("a", pending_actions, PendingAction)),
            dependencies=list(dependencies or ()),
            hitl=hitl,
        )
        return self.client.create_packet(packet)

    def claim_handoff(self, packet_id: Id, *, framework: str | None = None) -> PacketResponse:
        """
        Take a packet over.

        Raises:
            ValidationError: Somebody else has; `response_body` tells who.
        """
        mine = {"agent_id": self.agent_id, "agent_name": self.agent_name}
        return self.client.claim_packet(packet_id, **mine, framework=framework or self.framework)

    def update_handoff(
        self,
        packet_id: Id,
        *,
        status: PacketStatus | str | None = None,
        decisions: Parts | None = None,
        pending_actions: Parts | None = None,
        completed_actions: Parts | None = None,
        failed_actions: Parts | None = None,
        dependencies: Parts | None = None,
        summary: str | None = None,
        custom: Mapping[str, Any] | None = None,
    ) -> PacketResponse:
        """
        Change a packet; what is None stays as it is.

        The server takes actions and context as a whole. So the packet is read first where one of them changes only
        in part; of two agents that do this to one packet at the same moment, the later one wins.

        Args:
            packet_id: The packet.

            status: Where it goes in its life.

            decisions: Decisions to add, or to replace where the id is known.

            pending_actions: All that is still to be done.

            completed_actions: Actions that are done, to add; they are not pending any more.

            failed_actions: Actions that went wrong, to add; they are not pending any more.

            dependencies: What the work depends on.

            summary: What this is about now.

            custom: Entries of your own, to add or to replace.
        """
        changed = (pending_actions, completed_actions, failed_actions)
        is_read = any(part is not None for part in (*changed, summary, custom, decisions))
        before = self.client.get_packet(packet_id) if is_read else None
        update = PacketUpdate(
            status=status,  # type: ignore[arg-type]  # the model makes one of the word
            context=changed_context(before, summary, custom),
            decisions=more_decisions(before, decisions),
            actions=changed_actions(before, *changed),
            dependencies=None if dependencies is None else list(dependencies),
        )
        return self.client.update_packet(packet_id, update)

    def complete_handoff(self, packet_id: Id) -> PacketResponse:
        """Say that the work is done, also right after the claim."""
        return self.client.complete_packet(packet_id)

    def get_handoff(self, packet_id: Id) -> PacketResponse:
        """Return a packet."""
        return self.client.get_packet(packet_id)

    def poll_for_handoff(
        self, *, status: str = "created", target_agent: str | None = None, limit: int = 10
    ) -> list[PacketResponse]:
        """Return the packets for this agent that nobody has claimed yet, newest first; claims none, and waits not."""
        target = target_agent or self.agent_id
        return self.client.list_packets(status=status, target_agent=target, limit=limit).packets

    def respond_to_hitl(
        self, packet_id: Id, response: str, *, responded_by: str | None = None, notes: str | None = None
    ) -> PacketResponse:
        """Answer a packet's question; in this agent's name where nobody else's is given."""
        by = responded_by or self.agent_id
        return self.client.respond_to_hitl(packet_id, response=response, responded_by=by, notes=notes)

    def chain_handoff(
        self,
        parent_packet_id: Id,
        target_agent_id: str,
        target_agent_name: str,
        summary: str,
        *,
        target_framework: str | None = None,
        priority: Priority | str = Priority.NORMAL,
        tags: Sequence[str] | None = None,
        conversation_state: Parts | None = None,
        decisions: Parts | None = None,
        pending_actions: Parts | None = None,
    ) -> PacketResponse:
        """Hand over again, on top of another packet, whose conversation goes along; arguments as `create_handoff`."""
        target = TargetAgentInfo(id=target_agent_id, name=target_agent_name, framework=target_framework)
        request = ChainHandoffRequest(
            metadata=self._metadata(target, priority, tags),
            context=_context(summary, conversation_state),
            decisions=named("d", decisions, Decision),
            actions=Actions(pending=named("a", pending_actions, PendingAction)),
        )
        return self.client.chain_handoff(parent_packet_id, request)

    acreate_handoff = awaitable(create_handoff)
    aclaim_handoff = awaitable(claim_handoff)
    aupdate_handoff = awaitable(update_handoff)
    acomplete_handoff = awaitable(complete_handoff)
    aget_handoff = awaitable(get_handoff)
    apoll_for_handoff = awaitable(poll_for_handoff)
    arespond_to_hitl = awaitable(respond_to_hitl)
    achain_handoff = awaitable(chain_handoff)

    def _default_framework(self) -> str:
        return "custom"

    def _metadata(self, target: TargetAgentInfo, priority: Any, tags: Sequence[str] | None) -> Metadata:
        source = AgentInfo(id=self.agent_id, name=self.agent_name, framework=self.framework)
        return Metadata(source_agent=source, target_agent=target, priority=priority, tags=list(tags or ()))


def _context(
    summary: str,
    conversation: Parts | None,
    artifacts: Parts | None = None,
    custom: Mapping[str, Any] | None = None,
) -> PacketContext:
    return PacketContext(
        summary=summary,
        conversation_state=list(conversation or ()),
        artifacts=list(artifacts or ()),
        custom=dict(custom or {}),
    )
