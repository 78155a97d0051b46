"""Commands about runs."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from handlebar.cli.texts import safe
from tests.cli.conftest import HOSTILE
from tests.cli.terminal import Terminal


def test_the_list_of_runs(terminal: Terminal) -> None:
    """`runs list` has a line a run, newest first, with the agent's slug."""
    header, second, first = terminal.says("runs", "list").lines
    assert ["ID", "AGENT", "ACTOR", "STATUS", "STARTED", "ENDED"] == header.split()
    assert ["second-run", "desk", "-", "success"] == second.split()[:4]
    assert first.startswith("the-run")
    assert 2 == len(terminal.says("runs", "list", "--limit", "1").lines)


def test_the_list_of_runs_as_json(terminal: Terminal) -> None:
    """As JSON the list has each run in full, and hostile text unchanged."""
    second, first = terminal.document("runs", "list")
    assert ("second-run", "desk", None) == (second["runId"], second["agent"], second["actorId"])
    assert (HOSTILE, "monday") == (first["actorId"], first["sessionId"])


def test_a_run_as_a_timeline(terminal: Terminal) -> None:
    """`runs show` prints who ran it, then each event with its tool, its verdict and what it says."""
    said = terminal.says("runs", "show", "the-run")
    assert 0 == said.code
    assert "Agent:   desk" in said.lines
    assert "Session: monday" in said.lines
    at = said.lines.index("") + 1
    assert ["TIME", "KIND", "TOOL", "VERDICT", "MESSAGE"] == said.lines[at].split()
    events = [line.split(maxsplit=4)[1:] for line in said.lines[at + 1 :]]
    assert ["run.started", "-", "-", "-"] == events[0]
    assert ["tool.decision", "refund", "ALLOW"] == events[1][:3]
    assert ["tool.result", "refund", "success", "-"] == events[2]
    assert ["tool.result", "delete", "error", safe(HOSTILE)] == events[4]
    assert ["tool.decision", "delete", "BLOCK"] == events[5][:3]
    assert safe(HOSTILE) in events[5][3]


@pytest.mark.parametrize("arguments", [["runs", "list"], ["runs", "show", "the-run"], ["approvals", "list"]])
def test_untrusted_text_is_harmless(terminal: Terminal, arguments: list[str]) -> None:
    """What agents wrote is shown with every control character as an escape, and never raw."""
    said = terminal.says(*arguments)
    assert safe(HOSTILE) in said.out
    assert all(line.isprintable() for line in said.lines)
    as_json = terminal.says(*arguments, "--json").out
    assert as_json.replace("\n", "").isprintable()
    assert as_json.isascii()


def test_a_run_as_json(terminal: Terminal) -> None:
    """As JSON a run is its record and its events as they are on the wire."""
    shown = terminal.document("runs", "show", "the-run")
    (run,) = shown["runs"]
    assert ("the-run", "desk") == (run["runId"], run["agent"])
    assert ("run.started", "run.ended") == (shown["events"][0]["kind"], shown["events"][-1]["kind"])


@pytest.mark.parametrize("body", ["no JSON \x1b[2J", "[1, 2]", '{"data": 7}', '{"data": {"tool": [], "message": {}}}'])
def test_an_event_of_any_form_is_shown(terminal: Terminal, body: str) -> None:
    """A body that somebody has made something else in the database breaks no command."""
    with closing(sqlite3.connect(terminal.file)) as connection, connection:
        connection.execute("UPDATE events SET body = ?", [body])
    for arguments in (["runs", "show", "the-run"], ["audit", "export", "--format", "csv"]):
        assert 0 == terminal.says(*arguments).code
    assert terminal.document("runs", "show", "the-run")["events"]


def test_a_run_that_there_is_not(terminal: Terminal) -> None:
    """An unknown run, or one of another tenant, is answered with 1."""
    assert 1 == terminal.says("runs", "show", "nonsense").code
    said = terminal.says("runs", "show", "the-run", "--tenant", "north")
    assert (1, "", "Error: There is no run with the id 'the-run'\n") == (said.code, said.out, said.err)
    assert [] == terminal.document("runs", "list", "--tenant", "north")


def test_a_limit_that_is_none(terminal: Terminal) -> None:
    """A limit below 1 is wrong usage."""
    assert 2 == terminal.says("runs", "list", "--limit", "0").code
