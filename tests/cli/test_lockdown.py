"""Commands about lockdowns."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from handlebar.core.plane import Presence
from tests.cli.terminal import Said, Terminal
from tests.support.control import PATIENT, a_desk


def test_a_lockdown_is_set_listed_and_lifted(terminal: Terminal) -> None:
    """What is set is in the list until it is lifted."""
    said = terminal.says("lockdown", "set", "desk", "--reason", "odd [red]refunds\x1b[2J")
    assert (0, "desk is locked down until it is lifted.\n") == (said.code, said.out)
    header, line = terminal.says("lockdown", "list").lines
    assert ["AGENT", "ACTOR", "TOOL", "SINCE", "UNTIL", "REASON"] == header.split()
    assert line.endswith(r"odd [red]refunds\x1b[2J")
    said = terminal.says("lockdown", "lift", "desk")
    assert (0, "1 lifted.\n", "") == (said.code, said.out, said.err)
    assert [] == terminal.document("lockdown", "list")


def test_a_lockdown_of_one_actor_or_tool(terminal: Terminal) -> None:
    """--actor and --tool say what is meant, when it is set as when it is lifted."""
    made = terminal.document("lockdown", "set", "desk", "--reason", "x", "--actor", "ann", "--tool", "refund")
    assert ("desk", "ann", "refund", None) == (made["agent"], made["actorId"], made["toolName"], made["until"])
    assert 1 == terminal.says("lockdown", "lift", "desk").code
    assert [made] == terminal.document("lockdown", "list")
    assert {"lifted": 1} == terminal.document("lockdown", "lift", "desk", "--actor", "ann", "--tool", "refund")


def test_nothing_to_lift(terminal: Terminal) -> None:
    """Where there is nothing to lift the answer is no, as text and as JSON."""
    said = terminal.says("lockdown", "lift", "desk")
    assert (1, "0 lifted.\n") == (said.code, said.out)
    said = terminal.says("lockdown", "lift", "desk", "--json")
    assert (1, {"lifted": 0}) == (said.code, said.document)


@pytest.mark.parametrize(
    ("span", "length"),
    [
        ("45s", timedelta(seconds=45)),
        ("2h", timedelta(hours=2)),
        ("1d12h30m", timedelta(days=1, hours=12, minutes=30)),
    ],
)
def test_how_long_it_lasts(terminal: Terminal, span: str, length: timedelta) -> None:
    """--for counts from now."""
    before = datetime.now(timezone.utc)
    made = terminal.document("lockdown", "set", "desk", "--reason", "x", "--for", span)
    assert before + length <= datetime.fromisoformat(made["until"]) <= datetime.now(timezone.utc) + length


@pytest.mark.parametrize("until", ["2999-07-01T18:00Z", "2999-07-01T20:00:00+02:00"])
def test_when_it_ends(terminal: Terminal, until: str) -> None:
    """--until takes a time in ISO 8601, in any time zone."""
    said = terminal.says("lockdown", "set", "desk", "--reason", "x", "--until", until)
    assert "desk is locked down until 2999-07-01 18:00:00Z.\n" == said.out


@pytest.mark.parametrize(
    "options",
    [
        ["--until", "soon"],
        ["--until", "2999-07-01T18:00"],
        ["--until", "2020-07-01T18:00Z"],
        ["--for", "2"],
        ["--for", "0h"],
        ["--for", "-2h"],
        ["--for", "999999999d"],
        ["--for", "2h", "--until", "2999-07-01T18:00Z"],
        ["--reason", " "],
    ],
)
def test_times_that_are_none(terminal: Terminal, options: list[str]) -> None:
    """What is no time to come is wrong usage, and locks nothing down."""
    said = terminal.says("lockdown", "set", "desk", "--reason", "x", *options)
    assert (2, "") == (said.code, said.out)
    assert [] == terminal.document("lockdown", "list")


@pytest.mark.parametrize("arguments", [["set", "nobody", "--reason", "x"], ["lift", "nobody"]])
def test_an_agent_that_there_is_not(terminal: Terminal, arguments: list[str]) -> None:
    """An unknown agent is answered with 1."""
    said = terminal.says("lockdown", *arguments)
    assert (1, "", "Error: There is no agent with the slug 'nobody'\n") == (said.code, said.out, said.err)


def test_who_has_confirmed(terminal: Terminal) -> None:
    """Processes that obey, and those that were seen and have not said so; what they call themselves is shown safely."""
    made = terminal.document("lockdown", "set", "desk", "--reason", "odd\x1b[2J")
    note_presence(terminal, Presence(process="p-1", host="web\x1b[2J", obeys=(made["id"],)))
    note_presence(terminal, Presence(process="p-2", host="web-2"))
    title, header, *lines = terminal.says("lockdown", "status").lines
    assert r"desk: odd\x1b[2J" == title
    assert ["PROCESS", "HOST", "CONFIRMED", "WHEN"] == header.split()
    assert [["p-1", r"web\x1b[2J", "yes"], ["p-2", "web-2", "no"]] == [each.split()[:3] for each in lines]
    (standing,) = terminal.document("lockdown", "status", "desk")
    assert ("desk", made["id"]) == (standing["agent"], standing["lockdown"]["id"])
    assert ["p-1"] == [each["process"] for each in standing["confirmed"]]
    assert ["p-2"] == [each["process"] for each in standing["unconfirmed"]]


def test_nobody_to_confirm(terminal: Terminal) -> None:
    """Where nothing is locked down, or nobody was seen, that is said."""
    assert (0, "", "Nothing is locked down.\n") == shown(terminal.says("lockdown", "status"))
    assert [] == terminal.document("lockdown", "status")
    terminal.says("lockdown", "set", "desk", "--reason", "x", "--tool", "refund", "--actor", "ann")
    said = shown(terminal.says("lockdown", "status", "desk"))
    assert (0, "desk, actor ann, tool refund: x\n", "No process was seen over HTTP.\n") == said
    assert 1 == terminal.says("lockdown", "status", "nobody").code


def shown(said: Said) -> tuple[int, str, str]:
    """Return all that a command has said."""
    return said.code, said.out, said.err


def note_presence(terminal: Terminal, presence: Presence) -> None:
    """Let a process ask how the agent stands."""
    with a_desk(terminal.file) as desk:
        desk.plane.agent_status(desk.agent_id, presence, budget=PATIENT)
