"""Commands about agents, what they do now, and how long that is kept."""

from __future__ import annotations

import json
import time
from contextlib import closing

from handlebar.control.service import open_control_plane
from handlebar.core.schema.agents import AgentDescriptor, Tool
from tests.cli.terminal import Terminal
from tests.support.control import url_of


def test_the_list_of_agents(terminal: Terminal) -> None:
    """`agents list` has a line an agent, and says whether it may act."""
    assert ["desk", "-", "0", "may", "act"] == terminal.says("agents", "list").lines[1].split()[:5]
    (document,) = terminal.document("agents", "list")
    assert ("desk", False) == (document["slug"], document["lockedDown"])


def test_one_agent(terminal: Terminal) -> None:
    """`agents show` prints the policies for an agent, and its tools with their tags."""
    with closing(open_control_plane(url_of(terminal.file))) as plane:
        tools = [Tool("refund", "Pays \x1b[2J back.", ("payments", "write"))]
        plane.register_agent(AgentDescriptor("desk", tags=("prod",)), tools, budget=5.0)
    said = terminal.says("agents", "show", "desk")
    assert "Policies:    the-desk-s" in said.lines
    assert "refund  payments, write  Pays \\x1b[2J back." == said.lines[-1]
    assert ["refund"] == [each["name"] for each in terminal.document("agents", "show", "desk")["tools"]]
    assert 1 == terminal.says("agents", "show", "nobody").code


def test_how_an_agent_stands(terminal: Terminal) -> None:
    """`agents status` is 0 while the agent may act, and 1 while everything is forbidden to it."""
    said = terminal.says("agents", "status", "desk")
    assert (0, "desk may act, under 1 policies with 2 rules.\n") == (said.code, said.out)
    terminal.says("lockdown", "set", "desk", "--reason", "odd \x1b[2J")
    said = terminal.says("agents", "status", "desk")
    assert (1, "Locked down: everything: odd \\x1b[2J") == (said.code, said.lines[1])
    assert terminal.says("agents", "status", "desk", "--json").document["lockedDown"]


def test_events_as_they_come(terminal: Terminal) -> None:
    """`runs tail` prints each event on a line, in which nothing is raw."""
    said = terminal.says("runs", "tail", "--from-start", "--no-follow")
    assert (0, 10) == (said.code, len(said.lines))
    assert all(line.isprintable() for line in said.lines)
    blocked = terminal.says("runs", "tail", "--from-start", "--no-follow", "--verdict", "BLOCK", "--json")
    assert ["BLOCK"] * 2 == [json.loads(line)["data"]["verdict"] for line in blocked.lines]
    assert "" == terminal.says("runs", "tail", "--no-follow").out


def test_some_runs(terminal: Terminal) -> None:
    """`runs list` takes filters."""
    assert ["the-run"] == [each["runId"] for each in terminal.document("runs", "list", "--session", "monday")]
    assert [] == terminal.document("runs", "list", "--status", "active")
    assert 2 == len(terminal.document("runs", "list", "--since", "1h", "--agent", "desk"))


def test_what_is_kept(terminal: Terminal) -> None:
    """`audit retain` deletes old runs, after a dry run that does not, and what is left verifies."""
    assert "Runs: 0, events: 0 were deleted.\n" == terminal.says("audit", "retain", "--older-than", "90d").out
    time.sleep(1.1)
    assert {"runs": 2, "events": 10, "deleted": False} == {
        name: value
        for name, value in terminal.document("audit", "retain", "--older-than", "1s", "--dry-run").items()
        if name != "before"
    }
    assert 10 == terminal.document("audit", "retain", "--older-than", "1s")["events"]
    assert "Runs: 2, events: 0, broken chains: none.\n" == terminal.says("audit", "verify").out
    assert 2 == terminal.says("audit", "retain", "--older-than", "soon").code
