"""Hand-offs inside a governed run."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import evolve

from handlebar.core.messages import LLMMessage, LLMResponse
from handlebar.core.schema.governance import Decision, HitlPendingCause, RunControl, Verdict
from handlebar.errors import ConfigError
from handlebar.handoff import ChainBuilder, HandoffPacket, HandoffRailClient, PacketResponse, ServerError
from handlebar.handoff.run_link import stamped
from tests.handoff.packets import PACKET_ID, packet, says, stored
from tests.support.clients import client_on
from tests.support.http_server import HttpServer
from tests.support.planes import ALLOW, ScriptedPlane


def notes(plane: ScriptedPlane) -> list[Any]:
    """Return what the audit trail says of hand-offs."""
    data = [event.data for event in plane.events if event.kind == "message.raw.created"]
    return [json.loads(each.content) for each in data if each.tags == ("handoff",)]


def test_a_packet_names_its_run(server: HttpServer, client: HandoffRailClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside what the caller has put there; and the run's audit trail names the packet."""
    plane = ScriptedPlane()
    governed = client_on(plane, monkeypatch)
    server.behave(says(stored(), 201))
    made = (
        HandoffPacket.builder().from_agent("a", "A").to_agent("b", "B").with_summary("s").with_custom({"x": 1}).build()
    )
    chain = ChainBuilder().from_("a", "A").to("b", "B").with_summary("s").build()
    with governed.run(run_id="r-1", session_id="s-1"):
        client.create_packet(made)
        client.chain_handoff(PACKET_ID, chain)
    governed.shutdown_sync()
    link = {"run_id": "r-1", "session_id": "s-1", "agent": "desk"}
    first, second = [request.json()["context"]["custom"] for request in server.requests]
    assert ({"x": 1, "handlebar": link}, {"handlebar": link}) == (first, second)
    assert {"x": 1} == made.context.custom
    assert [{"handoff": {"packetId": PACKET_ID, "targetAgent": "b-1"}}] * 2 == notes(plane)


def test_a_hand_off_that_failed_is_not_recorded(
    server: HttpServer, client: HandoffRailClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was handed over."""
    plane = ScriptedPlane()
    governed = client_on(plane, monkeypatch)
    server.behave(says({"detail": "no"}, 500))
    with governed.run(), pytest.raises(ServerError):
        client.create_packet(packet())
    governed.shutdown_sync()
    assert [] == notes(plane)


def test_without_a_run(server: HttpServer, client: HandoffRailClient) -> None:
    """A packet is sent as it is."""
    server.behave(says(stored(), 201))
    client.create_packet(packet())
    assert {} == server.requests[0].json()["context"]["custom"]


@pytest.mark.parametrize(("session", "expected"), [("s-1", "s-1"), (None, "r-1")])
def test_a_run_goes_on_with_a_packet(monkeypatch: pytest.MonkeyPatch, session: str | None, expected: str) -> None:
    """It belongs to the session of the run that made the packet, or to that run where it had none."""
    governed = client_on(ScriptedPlane(), monkeypatch)
    with governed.run(run_id="r-1", session_id=session):
        made = PacketResponse.from_dict({**stored(), **stamped(packet()).to_dict()})
    with governed.run(resume=made) as run:
        assert expected == run.session_id
    with governed.run(resume=made, session_id="other") as run:
        assert "other" == run.session_id


@pytest.mark.parametrize("link", [None, "r-1", {}, {"session_id": 5, "run_id": " "}, ["r-1"]])
def test_a_packet_of_nobodys_run(monkeypatch: pytest.MonkeyPatch, link: Any) -> None:
    """Links to nothing, whatever somebody has put there."""
    governed = client_on(ScriptedPlane(), monkeypatch)
    made = PacketResponse.from_dict(stored(context={"summary": "s", "custom": {"handlebar": link}}))
    with governed.run(resume=made) as run:
        assert run.session_id is None
    with pytest.raises(ConfigError, match="packet"):
        governed.run(resume=link or "x")


def test_a_run_becomes_a_packet(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what was said, as the redactors left it, what was decided, what waits for a person, and its own ids."""
    pending = Decision(Verdict.BLOCK, RunControl.CONTINUE, HitlPendingCause("q-1", "r-1"), "Ask first")
    answers = {"search": [ALLOW], "pay": [pending], "book": [evolve(pending, cause=HitlPendingCause("q-2")), ALLOW]}
    plane = ScriptedPlane(lambda request: answers[request.tool_name].pop(0))

    governed = client_on(plane, monkeypatch, redactors=[lambda text: text.replace("4711", "…")])
    with governed.run(run_id="r-1", session_id="s-1") as run:
        run.before_llm_sync(
            [LLMMessage("system", "Be kind."), LLMMessage("user", "I am 4711"), LLMMessage("tool", "x")]
        )
        run.after_llm_sync(LLMResponse([{"type": "text", "text": "Hello"}], model="m"))
        for name in ("search", "pay", "book", "book"):
            run.before_tool_sync(name, {"a": 1})
    made = run.to_packet(summary="Over to you").to_agent("b", "B").build()
    said = [(turn.role, turn.content) for turn in made.context.conversation_state]
    assert [("user", "I am …"), ("system", "Tool output: x"), ("agent", "Hello")] == said
    decided = [(each.id, each.decision, each.rationale) for each in made.decisions]
    assert [
        ("d1", "ALLOW search", ALLOW.message),
        ("d2", "BLOCK pay", "Ask first"),
        ("d3", "BLOCK book", "Ask first"),
        ("d4", "ALLOW book", ALLOW.message),
    ] == decided
    (waiting,) = made.dependencies
    assert ("q-1", "human_approval", "pay: Ask first", "blocked") == (
        waiting.id,
        waiting.type,
        waiting.description,
        waiting.status,
    )
    assert {"handlebar": {"run_id": "r-1", "session_id": "s-1", "agent": "desk"}} == made.context.custom
    assert "desk" == made.metadata.source_agent.id


def test_a_packet_names_the_call_that_waits_for_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not those that its open question only holds up."""
    pending = Decision(Verdict.BLOCK, RunControl.TERMINATE, HitlPendingCause("q-1", "r-1"), "Ask first")
    governed = client_on(ScriptedPlane(lambda request: pending), monkeypatch)
    with governed.run() as run:
        for name in ("pay", "search"):
            run.before_tool_sync(name, {"a": 1})
    made = run.to_packet(summary="Over to you").to_agent("b", "B").build()
    assert [("q-1", "pay: Ask first")] == [(each.id, each.description) for each in made.dependencies]


def test_a_packet_holds_the_latest_of_a_long_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that there is room for it wherever it is kept."""
    governed = client_on(ScriptedPlane(), monkeypatch)
    with governed.run() as run:
        run.before_llm_sync([LLMMessage("user", f"{number} {'x' * 60_000}") for number in range(5)])
        long = run.to_packet(summary="s").to_agent("b", "B").build().context.conversation_state
        run.before_llm_sync([LLMMessage("user", str(number)) for number in range(300)])
        many = run.to_packet(summary="s").to_agent("b", "B").build().context.conversation_state
    assert ["2", "3", "4"] == [turn.content.split()[0] for turn in long]
    assert (200, "299") == (len(many), many[-1].content)


def test_a_run_names_the_packet_that_it_goes_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """In its audit trail, so that both runs are found as one story."""
    plane = ScriptedPlane()
    governed = client_on(plane, monkeypatch)
    with governed.run(resume=PacketResponse.from_dict(stored())):
        pass
    governed.shutdown_sync()
    assert [{"handoff": {"packetId": PACKET_ID, "takenOver": True}}] == notes(plane)
