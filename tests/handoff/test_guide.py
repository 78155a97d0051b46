"""The guide's code, from one end to the other, against the real control plane."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from handlebar._plumbing.clock import Deadline
from handlebar.errors import UnreachableError
from handlebar.handoff import (
    AsyncHandoffRailClient,
    ChainBuilder,
    HandoffPacket,
    HandoffRailClient,
    NotFoundError,
    PacketStatus,
    PacketUpdate,
    ValidationError,
)
from handlebar.handoff.exceptions import HandoffRailError
from handlebar.handoff.exchange import Answer, Call, Exchange, StreamEvent
from handlebar.handoff.models import Actions, CompletedAction, Decision

pytest.importorskip("sqlalchemy", reason="the extra embedded is not installed")


@pytest.fixture(name="url")
def _url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/handoffs.db"


@pytest.fixture(name="client")
def _client(url: str) -> Iterator[HandoffRailClient]:
    with HandoffRailClient(url, "hr_key", retry_delay=0.01) as client:
        yield client


def refund() -> HandoffPacket:
    """Return the guide's packet."""
    return (
        HandoffPacket.builder()
        .from_agent("triage-agent", "Triage", "langchain")
        .to_agent("refund-agent", "Refunds", "crewai")
        .with_summary("Customer wants money back for a lost parcel")
        .with_conversation([{"role": "user", "content": "My parcel is lost"}])
        .with_artifact("order", {"number": 81, "total": "40.00"}, "application/json")
        .with_decision("Refund", "The carrier confirmed the loss", ["Send again"])
        .with_action("Pay back 40 EUR", "refund-agent", "high")
        .with_priority("high")
        .with_tags(["refund", "vip"])
        .build()
    )


def test_a_packet_is_handed_over(client: HandoffRailClient) -> None:
    """Made, found, claimed, worked on, completed; and its history tells it all."""
    packet = client.create_packet(refund())
    assert PacketStatus.CREATED == packet.status
    found = client.list_packets(status="created", target_agent="refund-agent", tags=["refund"], priority="high")
    assert [packet.id] == [each.id for each in found.packets]
    claimed = client.claim_packet(packet.id, agent_id="refund-agent", agent_name="Refunds", framework="crewai")
    assert claimed.metadata.claimed_at is not None
    assert claimed.metadata.claimed_at >= claimed.created_at
    done = CompletedAction(id="a1", description="Pay back 40 EUR", result="paid")
    update = PacketUpdate(
        status=PacketStatus.IN_PROGRESS,
        decisions=[Decision(id="d2", decision="Pay at once", rationale="Small sum")],
        actions=Actions(completed=[done]),
    )
    assert ["d1", "d2"] == [each.id for each in client.update_packet(packet.id, update).decisions]
    assert PacketStatus.COMPLETED == client.complete_packet(packet.id).status
    history = [event.event_type for event in client.get_history(packet.id).events]
    assert ["created", "claimed", "in_progress", "completed"] == history


def test_completing_right_after_the_claim(client: HandoffRailClient) -> None:
    """As the guide shows it."""
    packet = client.create_packet(refund())
    client.claim_packet(packet.id, agent_id="refund-agent", agent_name="Refunds")
    assert PacketStatus.COMPLETED == client.complete_packet(packet.id).status


def test_a_packet_is_claimed_once(client: HandoffRailClient) -> None:
    """The second is told who has it."""
    packet = client.create_packet(refund())
    client.claim_packet(packet.id, agent_id="first", agent_name="First")
    with pytest.raises(ValidationError) as taken:
        client.claim_packet(packet.id, agent_id="second", agent_name="Second")
    assert 409 == taken.value.status_code
    assert "first" == taken.value.response_body["detail"]["claimed_by"]["id"]


def test_a_person_answers(client: HandoffRailClient) -> None:
    """The packet waits until then; completing it does not go around the person."""
    made = HandoffPacket.builder().from_agent("a", "A").to_agent("b", "B").with_summary("Pay?")
    packet = client.create_packet(made.with_hitl("Above limit", "Pay?", ["yes", "no"], 3600).build())
    assert [packet.id] == [each.id for each in client.get_awaiting().packets]
    with pytest.raises(ValidationError):
        client.complete_packet(packet.id)
    answered = client.respond_to_hitl(packet.id, response="yes", responded_by="ann", notes="fine")
    assert answered.hitl is not None
    assert ("yes", "ann") == (answered.hitl.response, answered.hitl.responded_by)
    assert [] == client.get_awaiting().packets


def test_a_chain(client: HandoffRailClient) -> None:
    """The child has the parent's conversation before its own."""
    parent = client.create_packet(refund())
    request = (
        ChainBuilder()
        .from_("refund-agent", "Refunds")
        .to("ledger-agent", "Ledger")
        .with_summary("Book the refund")
        .with_conversation([{"role": "agent", "content": "Paid"}])
        .build()
    )
    child = client.chain_handoff(parent.id, request)
    assert parent.id == child.parent_packet_id
    assert ["My parcel is lost", "Paid"] == [turn.content for turn in child.context.conversation_state]


def test_every_page(client: HandoffRailClient) -> None:
    """`iter_packets` finds each packet once."""
    made = client.batch_create_packets([refund() for _ in range(7)]).created
    assert 7 == len(made)
    assert {each.id for each in made} == {each.id for each in client.iter_packets(limit=2)}


def test_webhooks(client: HandoffRailClient) -> None:
    """Are registered, listed without their secret, and deleted."""
    webhook = client.register_webhook(url="https://93.184.216.34/hook", secret="a-secret-of-many-letters")
    assert [webhook.id] == [each.id for each in client.list_webhooks()]
    assert "secret" not in webhook.to_dict()
    client.delete_webhook(webhook.id)


def test_what_is_not_there(client: HandoffRailClient) -> None:
    """Has an error of its own, which is a HandoffRailError like all others."""
    with pytest.raises(NotFoundError) as missing:
        client.get_packet("5d1f0c1e-7c39-4a59-9a39-0f5d0f1f2a11")
    assert 404 == missing.value.status_code
    assert isinstance(missing.value, HandoffRailError)
    packet = client.create_packet(refund())
    client.delete_packet(packet.id)
    with pytest.raises(NotFoundError) as expired:
        client.claim_packet(packet.id, agent_id="a", agent_name="A")
    assert 410 == expired.value.status_code


def test_with_asyncio(url: str) -> None:
    """The same, awaited."""

    async def work() -> None:
        async with AsyncHandoffRailClient(url, "hr_key") as client:
            packet = await client.create_packet(refund())
            await client.claim_packet(packet.id, agent_id="refund-agent", agent_name="Refunds")
            assert PacketStatus.COMPLETED == (await client.complete_packet(packet.id)).status
            assert [packet.id] == [each.id async for each in client.iter_packets()]

    asyncio.run(work())


class _Losing:
    """An exchange that does what it is asked, and loses every other answer."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.lost: list[str] = []

    def send(self, call: Call, *, deadline: Deadline) -> Answer:
        answer = self._exchange.send(call, deadline=deadline)
        key = call.headers.get("idempotency-key", "")
        if call.method == "POST" and key not in self.lost:
            self.lost.append(key)
            raise UnreachableError("lost", reason="network")
        return answer

    def listen(self, channels: tuple[str, ...], *, after: str | None) -> Iterator[StreamEvent]:
        return self._exchange.listen(channels, after=after)

    def close(self) -> None:
        self._exchange.close()


def test_lost_answers_make_no_second_packet(client: HandoffRailClient) -> None:
    """The control plane recognises the key of the call that comes again, and gives the answer that was lost."""
    client.list_packets()
    losing = _Losing(client._caller.exchange)
    client._caller.exchange = losing
    packet = client.create_packet(refund())
    claimed = client.claim_packet(packet.id, agent_id="refund-agent", agent_name="Refunds")
    assert PacketStatus.CLAIMED == claimed.status
    assert 2 == len(losing.lost)
    assert [packet.id] == [each.id for each in client.iter_packets()]
    assert ["created", "claimed"] == [event.event_type for event in client.get_history(packet.id).events]
