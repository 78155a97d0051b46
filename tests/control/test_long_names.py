"""Names of any length: each is one identity, on every database, and no call is left undecided for them."""

from __future__ import annotations

import random
import string
from pathlib import Path

import pytest

from handlebar.core.plane import StartRequest
from handlebar.core.schema.agents import Actor, AgentDescriptor, Tool
from handlebar.errors import ConfigError
from tests.support.control import PATIENT, a_desk, a_limit, a_policy, a_rule, an_event

_letters = random.Random(1)
LONG = "".join(_letters.choices(string.ascii_letters, k=9000))
"""What no database can make small, and no page of an index can hold."""

ODD = ["é" * 5000, "\0" * 5000, "\udc80" * 5000]


@pytest.mark.parametrize("name", [LONG, *ODD, LONG[:512], LONG[:513]], ids=range(6))
def test_limits_hold_for_long_names(tmp_path: Path, name: str) -> None:
    """Calls of long runs, actors, tools and tags are counted, each for itself."""
    limits = [
        a_rule(a_limit(1, "*"), name="run"),
        a_rule(a_limit(2, "*", per="agent_user"), name="user"),
        a_rule(a_limit(3, "*end", per="agent"), name="agent"),
    ]
    with a_desk(tmp_path / "plane.db", a_policy(*limits)) as desk:

        def may(run: str, actor: str) -> bool:
            return desk.may(f"{name}end", run=name + run, actor=name + actor, tool_tags=[name])

        assert [True, False] == [may("1", "a"), may("1", "b")]
        assert [True, False] == [may("2", "a"), may("3", "a")]
        assert [True, False] == [may("3", "b"), may("4", "c")]


def test_runs_are_found_by_their_long_names(tmp_path: Path) -> None:
    """A run and its events are found by the id that the client chose, whose neighbour is another."""
    with a_desk(tmp_path / "plane.db") as desk:
        plane = desk.plane
        for end in ("1", "2"):
            run = StartRequest(
                run_id=LONG + end, agent_id=desk.agent_id, session_id=LONG, actor=Actor(LONG, metadata={"tier": "free"})
            )
            plane.start_run(run, budget=PATIENT)
            desk.tells(f"batch-{end}", an_event(LONG + end, end))
        plane.end_run(desk.agent_id, LONG + "1", "error", budget=PATIENT)
        assert ["error", "active"] == [plane.runs_of_id(LONG + end)[0].status for end in ("1", "2")]
        assert [[{"said": "1"}], [{"said": "2"}]] == [plane.events(LONG + end) for end in ("1", "2")]
        shown = plane.runs_of_id(LONG + "1")[0].run_id
        assert shown.startswith(LONG[:400])
        assert [{"said": "1"}] == plane.events(shown)
        assert all(each.chain.intact for each in plane.verify_chains(LONG + "1"))


def test_people_are_asked_about_long_names(tmp_path: Path) -> None:
    """An approval of a call with long names, given by somebody with one, holds for that call."""
    ask = a_rule({"kind": "toolName", "op": "endsWith", "value": "pay"}, "hitl")
    with a_desk(tmp_path / "plane.db", a_policy(ask)) as desk:
        assert not desk.may(f"{LONG}pay", run=LONG, actor=LONG)
        (question,) = desk.plane.approvals()
        desk.plane.respond(question.id, "approved", responded_by=LONG)
        assert not desk.may(f"{LONG}.pay", run=LONG, actor=LONG)
        assert desk.may(f"{LONG}pay", run=LONG, actor=LONG)


def test_tools_and_slugs(tmp_path: Path) -> None:
    """A long tool can be registered; an agent's slug, which policies go by, is refused at once."""
    with a_desk(tmp_path / "plane.db") as desk:
        desk.plane.register_tools(desk.agent_id, [Tool(LONG, tags=[LONG]), Tool(f"{LONG}2")], budget=PATIENT)
    assert 200 == len(AgentDescriptor("s" * 200).slug)
    with pytest.raises(ConfigError, match="at most 200"):
        AgentDescriptor("s" * 201)
