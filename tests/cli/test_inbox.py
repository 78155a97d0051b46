"""Commands about the inbox."""

from __future__ import annotations

import getpass
from collections.abc import Iterator

import pytest

from handlebar.handoff import HandoffPacket, HandoffRailClient, PacketResponse
from tests.cli.conftest import HOSTILE
from tests.cli.terminal import Terminal
from tests.support.control import url_of


@pytest.fixture(name="handoffs")
def _handoffs(terminal: Terminal) -> Iterator[HandoffRailClient]:
    with HandoffRailClient(url_of(terminal.file)) as client:
        yield client


@pytest.fixture(name="packet")
def _packet(handoffs: HandoffRailClient) -> PacketResponse:
    """A packet that waits for a person."""
    made = HandoffPacket.builder().from_agent("desk", "Desk").to_agent("billing", "Billing").with_summary(HOSTILE)
    return handoffs.create_packet(made.with_hitl("Above limit", "Pay?", ["yes", "no"]).build())


@pytest.fixture(name="question")
def _question(terminal: Terminal) -> str:
    (asked,) = terminal.document("approvals", "list")
    return str(asked["id"])


def test_one_list(terminal: Terminal, question: str, packet: PacketResponse) -> None:
    """`inbox` has what rules ask and what hand-offs ask, the longest waiting first, and makes hostile text harmless."""
    said = terminal.says("inbox")
    header, *lines = said.lines
    assert ["ID", "KIND", "AGENT", "ABOUT", "QUESTION", "ANSWERS", "ASKED"] == header.split()
    assert [[question, "approval", "desk", "refund"], [str(packet.id), "packet", "desk"]] == [
        line.split()[:count] for line, count in zip(lines, (4, 3), strict=True)
    ]
    assert "approved, denied" in lines[0]
    assert "yes, no" in lines[1]
    assert all(line.isprintable() for line in said.lines)
    assert 2 == len(terminal.says("inbox", "--limit", "1").lines)


def test_the_list_as_json(terminal: Terminal, question: str, packet: PacketResponse) -> None:
    """Each entry in full."""
    first, second = terminal.document("inbox")
    assert (question, "approval", "the-run", None) == (first["id"], first["kind"], first["runId"], first["approvers"])
    assert (str(packet.id), "Pay?", ["yes", "no"], HOSTILE) == (
        second["id"],
        second["question"],
        second["options"],
        second["about"],
    )


def test_one_way_to_answer(
    terminal: Terminal, question: str, packet: PacketResponse, handoffs: HandoffRailClient
) -> None:
    """`inbox answer` answers either, once; then nothing waits any more."""
    said = terminal.says("inbox", "answer", question, "approved", "--by", "ann\x1b[2J", "--note", "fine")
    assert (0, ["By:       ann\\x1b[2J", "Note:     fine"]) == (said.code, said.lines[2:])
    answered = terminal.document("inbox", "answer", str(packet.id), "yes")
    assert ("yes", getpass.getuser(), None) == (answered["response"], answered["respondedBy"], answered["note"])
    hitl = handoffs.get_packet(packet.id).hitl
    assert hitl is not None
    assert ("yes", getpass.getuser()) == (hitl.response, hitl.responded_by)
    assert "approved" == terminal.document("approvals", "show", question)["status"]
    for item, answer in ((question, "denied"), (str(packet.id), "no")):
        assert 1 == terminal.says("inbox", "answer", item, answer).code
    said = terminal.says("inbox")
    assert (0, "", "Nothing waits for an answer.\n") == (said.code, said.out, said.err)


def test_answers_that_are_none(terminal: Terminal, question: str, packet: PacketResponse) -> None:
    """Are wrong usage; what is not there, or another tenant's, is refused; and everything waits as before."""
    assert 2 == terminal.says("inbox", "answer", question, "maybe").code
    assert 2 == terminal.says("inbox", "answer", str(packet.id), "maybe").code
    assert 2 == terminal.says("inbox", "answer", question, "approved", "--by", " ").code
    assert 1 == terminal.says("inbox", "answer", "nonsense", "approved").code
    assert 1 == terminal.says("inbox", "answer", question, "approved", "--tenant", "north").code
    assert [] == terminal.document("inbox", "--tenant", "north")
    assert 2 == len(terminal.document("inbox"))


def test_options_in_the_wrong_place(terminal: Terminal, question: str) -> None:
    """Are told, instead of being forgotten."""
    said = terminal.says("inbox", "--tenant", "north", "answer", question, "approved")
    assert 2 == said.code
    assert "behind" in said.err
