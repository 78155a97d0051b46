"""`runs show` of runs that hand-offs link."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import handlebar
from handlebar import HandlebarClient, HandlebarClientConfig, LLMMessage
from handlebar.handoff import HandoffRailClient, PacketResponse
from tests.cli.terminal import Terminal
from tests.support.control import a_limit, a_policy, a_rule, url_of

ASK = a_policy(a_rule(a_limit(0, "refund"), "hitl", name="ask", tool="refund"), name="money")


@handlebar.tool
def refund(order: str) -> str:
    """Refund an order."""
    return f"refunded {order}"


@pytest.fixture(name="story")
def _story(terminal: Terminal) -> Iterator[PacketResponse]:
    """A customer whom triage hands over to billing, which has to ask a person."""
    url = url_of(terminal.file)
    triage = HandlebarClient.init_sync(HandlebarClientConfig(agent="triage", api_endpoint=url))
    billing = HandlebarClient.init_sync(HandlebarClientConfig(agent="billing", api_endpoint=url, policies=[ASK]))
    with HandoffRailClient(url) as handoffs:
        with triage.run(run_id="triage-run", session_id="customer-4711") as run:
            run.before_llm_sync([LLMMessage("user", "My parcel is lost")])
            made = handoffs.create_packet(run.to_packet(summary="Lost parcel").to_agent("billing", "Billing").build())
        packet = handoffs.claim_packet(made.id, agent_id="billing", agent_name="Billing")
        with billing.run(run_id="billing-run", resume=packet), pytest.raises(handlebar.RunTerminatedError):
            refund("A-1")
        with billing.run(run_id="other-run", session_id="customer-4711"):
            pass
        waiting = next(each for each in terminal.document("inbox") if each["agent"] == "billing")
        assert 0 == terminal.says("inbox", "answer", waiting["id"], "approved", "--by", "ann", "--note", "fine").code
        yield handoffs.complete_packet(packet.id)
    for client in (triage, billing):
        client.shutdown_sync()


@pytest.mark.parametrize("run_id", ["triage-run", "billing-run"])
def test_both_runs_and_the_packet_are_one_story(terminal: Terminal, story: PacketResponse, run_id: str) -> None:
    """From either end: who ran, what was handed over, and one timeline of all of it; no other run of the session."""
    said = terminal.says("runs", "show", run_id)
    assert 0 == said.code
    assert ["Run:     triage-run", "Run:     billing-run"] == [line for line in said.lines if line.startswith("Run:")]
    assert f"Hand-off: {story.id}" in said.lines
    assert {"Status:   completed", "From:     triage", "To:       Billing", "Summary:  Lost parcel"} <= set(said.lines)
    at = next(number for number, line in enumerate(said.lines) if line.startswith("TIME"))
    told = [tuple(line.split()[1:3]) for line in said.lines[at + 1 :]]
    assert sorted(line.split()[0] for line in said.lines[at + 1 :]) == [
        line.split()[0] for line in said.lines[at + 1 :]
    ]
    landmarks = [
        ("triage", "run.started"),
        ("agent:triage", "packet.created"),
        ("agent:billing", "packet.claimed"),
        ("billing", "run.started"),
        ("billing", "tool.decision"),
        ("ann", "approval.approved"),
        ("agent:billing", "packet.completed"),
    ]
    places = [told.index(landmark) for landmark in landmarks]
    assert sorted(places) == places


def test_a_story_as_json(terminal: Terminal, story: PacketResponse) -> None:
    """Runs, events, hand-offs with their history, and what people were asked."""
    shown = terminal.document("runs", "show", "billing-run")
    assert ["triage-run", "billing-run"] == [run["runId"] for run in shown["runs"]]
    assert {"triage-run", "billing-run"} == {event["runId"] for event in shown["events"]}
    (handoff,) = shown["handoffs"]
    assert (str(story.id), "created") == (handoff["id"], handoff["history"][0]["event_type"])
    (asked,) = shown["approvals"]
    assert ("refund", "ann") == (asked["toolName"], asked["answers"][0]["respondedBy"])


def test_a_run_without_hand_offs(terminal: Terminal, story: PacketResponse) -> None:
    """Stands alone, also in the same session."""
    shown = terminal.document("runs", "show", "other-run")
    assert (["other-run"], []) == ([run["runId"] for run in shown["runs"]], shown["handoffs"])


def test_stories_end_at_the_tenant(terminal: Terminal, story: PacketResponse) -> None:
    """Nobody else sees anything of one."""
    assert 1 == terminal.says("runs", "show", "triage-run", "--tenant", "north").code
