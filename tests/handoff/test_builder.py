"""Packets written step by step."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlebar.handoff import ChainBuilder, ChainHandoffRequest, HandoffPacket, PacketBuilder, PacketCreate, Priority
from handlebar.handoff.exceptions import ValidationError
from tests.handoff.packets import PACKET_ID


def begun() -> Any:
    """Return a builder that could be built."""
    return HandoffPacket.builder().from_agent("a-1", "A").to_agent("b-1", "B").with_summary("Over to you")


def test_the_guides_forms() -> None:
    """Every method takes what the guide gives it, in the guide's order, and returns the builder."""
    packet = (
        HandoffPacket.builder()
        .from_agent("a-1", "A", "langchain")
        .to_agent("b-1", "B", "crewai")
        .with_summary("Over to you")
        .with_conversation([{"role": "user", "content": "Hello"}])
        .with_artifact("order", {"no": 81}, "application/json")
        .with_decision("Refund", "It was lost", ["Resend"], "a-1")
        .with_action("Pay", "b-1", "high", ["a0"])
        .with_dependency("psp", "api", "Provider", "available", "ext")
        .with_hitl("Above limit", "Pay?", ["yes", "no"], 3600)
        .with_priority("critical")
        .with_tags(["refund", "vip"])
        .build()
    )
    assert isinstance(packet, PacketCreate)
    written = packet.to_dict()
    assert {"id": "a-1", "name": "A", "framework": "langchain"} == written["metadata"]["source_agent"]
    assert {"id": "b-1", "name": "B", "framework": "crewai"} == written["metadata"]["target_agent"]
    assert ("critical", ["refund", "vip"]) == (written["metadata"]["priority"], written["metadata"]["tags"])
    assert [{"role": "user", "content": "Hello"}] == written["context"]["conversation_state"]
    assert [{"key": "order", "value": {"no": 81}, "content_type": "application/json"}] == written["context"][
        "artifacts"
    ]
    refund = {"id": "d1", "decision": "Refund", "rationale": "It was lost", "alternatives": ["Resend"]}
    assert [{**refund, "decided_by": "a-1"}] == written["decisions"]
    pay = {"id": "a1", "description": "Pay", "assignee": "b-1", "priority": "high", "depends_on": ["a0"]}
    assert [pay] == written["actions"]["pending"]
    provider = {"id": "psp", "type": "api", "description": "Provider", "status": "available", "source": "ext"}
    assert [provider] == written["dependencies"]
    question = {"required": True, "reason": "Above limit", "question": "Pay?", "options": ["yes", "no"]}
    assert {**question, "timeout_seconds": 3600} == written["hitl"]


def test_the_published_clients_forms() -> None:
    """Its other names and its keywords work as well."""
    packet = (
        PacketBuilder()
        .from_("a-1", "A", framework="langchain", version="1.2")
        .to("b-1", "B", framework="crewai")
        .with_summary("Over to you")
        .with_artifacts([{"key": "k", "value": "v"}])
        .with_custom({"region": "eu"})
        .with_decision("Refund", decided_by="a-1")
        .with_action("Pay", assignee="b-1", priority=Priority.LOW, action_id="pay")
        .with_dependency("psp")
        .with_hitl(reason="Above limit", timeout_seconds=60)
        .with_parent(PACKET_ID)
        .with_schema("schema-1")
        .build()
        .to_dict()
    )
    assert "1.2" == packet["metadata"]["source_agent"]["version"]
    assert ({"region": "eu"}, "k") == (packet["context"]["custom"], packet["context"]["artifacts"][0]["key"])
    assert ("", "pay", PACKET_ID) == (
        packet["decisions"][0]["rationale"],
        packet["actions"]["pending"][0]["id"],
        packet["parent_packet_id"],
    )
    assert {"id": "psp", "type": "api", "description": "", "status": "unknown"} == packet["dependencies"][0]
    assert "schema-1" == packet["schema_id"]


def test_chains() -> None:
    """A chain is written like a packet, and has no parent of its own to name."""
    request = ChainBuilder().from_("a", "A").to("b", "B").with_summary("s").with_decision("d", rationale="r").build()
    assert ChainHandoffRequest is type(request)
    assert "parent_packet_id" not in request.to_dict()


def test_parts_accumulate() -> None:
    """Nothing that was said before is lost; a tag counts once."""
    packet = (
        begun()
        .with_conversation([{"role": "user", "content": "1"}])
        .with_conversation([{"role": "agent", "content": "2"}])
        .with_tags("x", "y")
        .with_tags(["y", "z"])
        .with_artifact("k", "1")
        .with_artifacts([{"key": "l", "value": "2"}])
        .with_custom({"a": 1})
        .with_custom({"b": 2})
        .build()
    )
    assert ["1", "2"] == [turn.content for turn in packet.context.conversation_state]
    assert ["x", "y", "z"] == packet.metadata.tags
    assert ["k", "l"] == [artifact.key for artifact in packet.context.artifacts]
    assert {"a": 1, "b": 2} == packet.context.custom


def test_everything_that_is_missing_is_named_at_once() -> None:
    """With the steps that are to be made."""
    with pytest.raises(ValidationError, match=r"from_agent.*to_agent.*with_summary") as missing:
        PacketBuilder().build()
    assert "metadata.source_agent" == missing.value.field
    with pytest.raises(ValidationError, match="with_summary") as empty:
        PacketBuilder().from_agent("a", "A").to_agent("", "B").with_summary(" ").build()
    assert "from_agent" not in empty.value.message
    assert "to_agent" in empty.value.message


def test_missing_parts_are_a_value_error_too() -> None:
    """As the published builder raises it."""
    with pytest.raises(ValueError, match="summary"):
        ChainBuilder().from_("a", "A").to("b", "B").build()


@pytest.mark.parametrize(
    ("step", "field"),
    [
        (lambda b: b.with_priority("urgent"), "priority"),
        (
            lambda b: b.with_conversation([{"role": "user", "content": "x"}, {"role": "ai"}]),
            "conversation_state.1.role",
        ),
        (lambda b: b.with_conversation(["text"]), "conversation_state.0"),
        (lambda b: b.with_artifact("k", 5), "value"),
        (lambda b: b.with_action("Pay", 7), "assignee"),
        (lambda b: b.with_decision(None), "decision"),
        (lambda b: b.with_dependency("x", "magic"), "type"),
        (lambda b: b.with_hitl("r", timeout_seconds="1 h"), "timeout_seconds"),
    ],
)
def test_what_cannot_be_used_is_refused_at_once(step: Any, field: str) -> None:
    """On the line that gives it, and not in build()."""
    with pytest.raises(ValidationError) as refused:
        step(begun())
    assert field == refused.value.field


def test_ids_that_are_given_do_not_meet_those_that_are_made() -> None:
    """Whichever comes first."""
    first = begun().with_action("1", "b", action_id="a2").with_action("2", "b").build()
    assert ["a2", "a3"] == [action.id for action in first.actions.pending]
    later = begun().with_action("1", "b").with_action("2", "b", action_id="a1").build()
    assert ["a2", "a1"] == [action.id for action in later.actions.pending]


def test_an_id_given_twice_is_refused() -> None:
    """Nobody could tell the two apart."""
    with pytest.raises(ValidationError, match=r"actions.pending.*dependencies"):
        begun().with_action("1", "b", action_id="x").with_action("2", "b", action_id="x").with_dependency(
            "d"
        ).with_dependency("d").build()


@given(st.lists(st.none() | st.integers(1, 6).map("a{}".format), max_size=8))
def test_ids_are_unique(given_ids: list[str | None]) -> None:
    """Unless the caller himself gives one twice."""
    builder = begun()
    for each in _once(given_ids):
        builder.with_action("x", "b", action_id=each)
    ids = [action.id for action in builder.build().actions.pending]
    assert len(set(ids)) == len(ids)


def _once(ids: list[str | None]) -> list[str | None]:
    """Leave out what comes again, but for None."""
    return [each for place, each in enumerate(ids) if each is None or each not in ids[:place]]


def test_a_builder_can_be_built_again() -> None:
    """What was built before does not change."""
    builder = begun().with_tags("x")
    first = builder.build()
    second = builder.with_tags("y").with_decision("d").build()
    assert (["x"], []) == (first.metadata.tags, first.decisions)
    assert (["x", "y"], 1) == (second.metadata.tags, len(second.decisions))
