"""Commands about approvals."""

from __future__ import annotations

import getpass

import pytest

from tests.cli.conftest import HOSTILE
from tests.cli.terminal import Terminal


@pytest.fixture(name="question")
def _question(terminal: Terminal) -> str:
    (asked,) = terminal.document("approvals", "list")
    return str(asked["id"])


def test_the_list_of_questions(terminal: Terminal, question: str) -> None:
    """`approvals list` has a line a question, of all or of one status."""
    header, line = terminal.says("approvals", "list", "--status", "pending").lines
    assert ["ID", "STATUS", "AGENT", "TOOL", "ACTOR", "ASKED", "REASON"] == header.split()
    assert [question, "pending", "desk", "refund"] == line.split()[:4]
    said = terminal.says("approvals", "list", "--status", "denied")
    assert (0, "", "There are no questions.\n") == (said.code, said.out, said.err)
    assert 2 == terminal.says("approvals", "list", "--status", "nonsense").code


def test_one_question(terminal: Terminal, question: str) -> None:
    """`approvals show` shows the call, with its arguments made harmless."""
    lines = terminal.says("approvals", "show", question).lines
    assert "Status:           pending" in lines
    assert "Approvers:        anybody" in lines
    assert all(line.isprintable() for line in lines)
    shown = terminal.document("approvals", "show", question)
    assert ({"order": HOSTILE}, "desk") == (shown["args"], shown["agent"])


def test_a_question_is_approved(terminal: Terminal, question: str) -> None:
    """`approvals approve` records who has said yes and why, once: a second answer is refused with 1."""
    said = terminal.says("approvals", "approve", question, "--by", "ann\x1b[2J", "--note", "all [red]good")
    assert 0 == said.code
    assert "Status:           approved" in said.lines
    assert said.lines[-1].endswith(r"approved by ann\x1b[2J: all [red]good")
    again = terminal.says("approvals", "deny", question, "--by", "bob")
    assert (1, "") == (again.code, again.out)
    assert "not open any more" in again.err


def test_a_question_is_denied(terminal: Terminal, question: str) -> None:
    """`approvals deny` says no, as JSON with the answers; without --by, by the login name."""
    denied = terminal.document("approvals", "deny", question)
    (answer,) = denied["answers"]
    assert "denied" == denied["status"]
    assert (getpass.getuser(), "denied", None) == (answer["respondedBy"], answer["status"], answer["note"])


def test_nobody_is_logged_in(terminal: Terminal, question: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process without a login name has to be told who answers."""

    def nobody() -> str:
        raise KeyError("uid")

    monkeypatch.setattr(getpass, "getuser", nobody)
    said = terminal.says("approvals", "approve", question)
    assert 2 == said.code
    assert "--by" in said.err
    assert 2 == terminal.says("approvals", "approve", question, "--by", " ").code


@pytest.mark.parametrize("verb", ["show", "approve", "deny"])
def test_a_question_that_there_is_not(terminal: Terminal, question: str, verb: str) -> None:
    """An unknown question, or one of another tenant, is answered with 1."""
    assert 1 == terminal.says("approvals", verb, "nonsense").code
    assert 1 == terminal.says("approvals", verb, question, "--tenant", "north").code
