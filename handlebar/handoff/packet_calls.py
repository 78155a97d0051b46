"""The client's part for packets: made, looked at, claimed, changed, answered, handed on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from handlebar.handoff.asking import Asking, Id, Time, Words, body_of, listed, moment, page, segment
from handlebar.handoff.exceptions import ServerError, ValidationError
from handlebar.handoff.models import (
    ChainHandoffRequest,
    HitlRespondRequest,
    PacketClaim,
    PacketCreate,
    PacketHistoryResponse,
    PacketListResponse,
    PacketResponse,
    PacketStatus,
    PacketUpdate,
    SearchOptions,
)
from handlebar.handoff.run_link import handed_over, stamped


class PacketCalls(Asking):
    """What can be done with packets."""

    def create_packet(self, packet: PacketCreate | Mapping[str, Any]) -> PacketResponse:
        """
        Hand over: make *packet*. Inside a governed run, the packet names the run.

        Raises:
            ValidationError: It lacks something; nothing was sent.
        """
        body = stamped(body_of("packet", PacketCreate, packet)).to_dict()
        return handed_over(self._ask(PacketResponse, "POST", "packets", body=body))

    def get_packet(self, packet_id: Id) -> PacketResponse:
        """Return a packet, an expired one too."""
        return self._ask(PacketResponse, "GET", "packets", segment("packet_id", packet_id))

    def list_packets(
        self,
        *,
        status: Words | None = None,
        source_agent: str | None = None,
        target_agent: str | None = None,
        tags: Words | None = None,
        priority: str | None = None,
        created_after: Time | None = None,
        created_before: Time | None = None,
        limit: int = 50,
        offset: int = 0,
        cursor: str | None = None,
    ) -> PacketListResponse:
        """
        Return one page of packets, newest first.

        Args:
            status: One status or several; packets with any of them.

            source_agent: The id of who handed over.

            target_agent: The id of who takes over.

            tags: One tag or several; packets with all of them.

            priority: `low`, `normal`, `high` or `critical`.

            created_after: A time; a datetime, or ISO 8601.

            created_before: A time; a datetime, or ISO 8601.

            limit: How many at most, 1 to 200.

            offset: How many to leave out; not looked at with a *cursor*.

            cursor: The `next_cursor` of the page before.
        """
        filters = {
            "status": listed("status", status),
            "source_agent": source_agent,
            "target_agent": target_agent,
            "tags": listed("tags", tags),
            "priority": listed("priority", priority),
            "created_after": moment("created_after", created_after),
            "created_before": moment("created_before", created_before),
        }
        query = {**filters, **page(limit, offset), "cursor": cursor}
        return self._ask(PacketListResponse, "GET", "packets", query=query)

    def iter_packets(
        self,
        *,
        status: Words | None = None,
        source_agent: str | None = None,
        target_agent: str | None = None,
        tags: Words | None = None,
        priority: str | None = None,
        created_after: Time | None = None,
        created_before: Time | None = None,
        limit: int = 50,
    ) -> Iterator[PacketResponse]:
        """
        Yield all packets, newest first, page by page.

        Args:
            status: As in `list_packets`, like the others.

            source_agent: As in `list_packets`.

            target_agent: As in `list_packets`.

            tags: As in `list_packets`.

            priority: As in `list_packets`.

            created_after: As in `list_packets`.

            created_before: As in `list_packets`.

            limit: How many a page.
        """
        cursor: str | None = None
        while True:
            found = self.list_packets(
                status=status,
                source_agent=source_agent,
                target_agent=target_agent,
                tags=tags,
                priority=priority,
                created_after=created_after,
                created_before=created_before,
                limit=limit,
                cursor=cursor,
            )
            yield from found.packets
            if not found.next_cursor:
                return
            if found.next_cursor == cursor:
                raise ServerError("The server gives the same page again and again", status_code=200)
            cursor = found.next_cursor

    def search_packets(
        self, query: str, options: SearchOptions | Mapping[str, Any] | None = None
    ) -> PacketListResponse:
        """Return the packets whose summary has the words of *query*, of at least two characters."""
        chosen = SearchOptions() if options is None else body_of("options", SearchOptions, options)
        page(chosen.limit, chosen.offset)
        return self._ask(PacketListResponse, "GET", "packets", "search", query={"q": query, **chosen.to_params()})

    def get_awaiting(self, *, limit: int = 50, offset: int = 0) -> PacketListResponse:
        """Return the packets that wait for a person, oldest first."""
        return self._ask(PacketListResponse, "GET", "packets", "awaiting", query=page(limit, offset))

    def get_history(self, packet_id: Id) -> PacketHistoryResponse:
        """Return what happened to a packet, oldest first."""
        return self._ask(PacketHistoryResponse, "GET", "packets", segment("packet_id", packet_id), "history")

    def claim_packet(
        self, packet_id: Id, *, agent_id: str, agent_name: str, framework: str | None = None
    ) -> PacketResponse:
        """
        Take a packet over; only one agent can.

        Raises:
            ValidationError: Somebody else has; `response_body` tells who.
        """
        claim = PacketClaim(agent_id=agent_id, agent_name=agent_name, framework=framework)
        return self._on_packet("POST", packet_id, "claim", body=claim.to_dict())

    def update_packet(self, packet_id: Id, update: PacketUpdate | Mapping[str, Any]) -> PacketResponse:
        """Change a packet; what is None in *update* stays as it is."""
        return self._on_packet("PATCH", packet_id, body=body_of("update", PacketUpdate, update).to_dict())

    def complete_packet(self, packet_id: Id) -> PacketResponse:
        """Say that the work is done; a packet that was only claimed goes through `in_progress`."""
        try:
            return self._move(packet_id, PacketStatus.COMPLETED)
        except ValidationError as error:
            # From anywhere else, a way around would be a way around a person's answer.
            if error.status_code != 400 or self.get_packet(packet_id).status != PacketStatus.CLAIMED:
                raise
        self._move(packet_id, PacketStatus.IN_PROGRESS)
        return self._move(packet_id, PacketStatus.COMPLETED)

    def delete_packet(self, packet_id: Id) -> None:
        """Have a packet expire; it can still be read."""
        self._delete("packets", segment("packet_id", packet_id))

    def respond_to_hitl(
        self, packet_id: Id, *, response: str, responded_by: str, notes: str | None = None
    ) -> PacketResponse:
        """Answer a packet's question, as a person or on behalf of one."""
        answer = HitlRespondRequest(response=response, responded_by=responded_by, notes=notes)
        return self._on_packet("POST", packet_id, "respond", body=answer.to_dict())

    def chain_handoff(self, parent_packet_id: Id, request: ChainHandoffRequest | Mapping[str, Any]) -> PacketResponse:
        """Hand over again, on top of another packet, whose conversation goes along."""
        body = stamped(body_of("request", ChainHandoffRequest, request)).to_dict()
        parent = segment("parent_packet_id", parent_packet_id)
        return handed_over(self._ask(PacketResponse, "POST", "packets", parent, "chain", body=body))

    def _move(self, packet_id: Id, status: PacketStatus) -> PacketResponse:
        return self.update_packet(packet_id, PacketUpdate(status=status))

    def _on_packet(self, method: str, packet_id: Id, *action: str, body: Mapping[str, Any]) -> PacketResponse:
        return self._ask(PacketResponse, method, "packets", segment("packet_id", packet_id), *action, body=body)
