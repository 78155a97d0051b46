"""What is in force is read again when anybody has changed it, and only then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select

from handlebar._plumbing.clock import Deadline
from handlebar.control import tables
from handlebar.core.schema.agents import AgentDescriptor, Tool
from tests.support.control import PATIENT, a_desk, a_limit, a_policy, a_rule

MONEY = a_policy(a_rule(a_limit(0, "*")), agentSelector={"anyOfTags": ["money"]})


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    return tmp_path / "plane.db"


def test_another_process_sees_an_agents_new_tags(file: Path) -> None:
    """At its next decision: the policies for those tags hold."""
    with a_desk(file, MONEY) as here, a_desk(file) as there:
        assert there.may()
        here.plane.register_agent(AgentDescriptor("desk", tags=["money"]), [], budget=PATIENT)
        assert not there.may()


def test_registering_the_same_again_changes_nothing(file: Path) -> None:
    """Many processes register the same agent; the others need not read their policies again for that."""
    with a_desk(file, MONEY) as desk:
        desk.asks()
        before = desk.plane._rulebook._process.get().in_force
        desk.plane.register_agent(AgentDescriptor("desk"), [], budget=PATIENT)
        desk.asks()
        assert before is desk.plane._rulebook._process.get().in_force


def test_an_agent_that_says_nothing_of_its_tools_keeps_them(file: Path) -> None:
    """Only a list takes back what is not on it."""

    def tools() -> list[str]:
        with desk.plane._database.read(Deadline.after(PATIENT)) as connection:
            return list(connection.scalars(select(tables.tools.c.name).order_by(tables.tools.c.name)))

    with a_desk(file) as desk:
        desk.plane.register_agent(AgentDescriptor("desk"), [Tool("a"), Tool("b")], budget=PATIENT)
        desk.plane.register_agent(AgentDescriptor("desk"), [], budget=PATIENT)
        assert ["a", "b"] == tools()
        desk.plane.register_tools(desk.agent_id, [Tool("b")], budget=PATIENT)
        assert ["b"] == tools()


def test_a_decision_without_a_past_reads_no_table(file: Path) -> None:
    """But for one quick look whether anything has changed."""
    stateless = a_policy(a_rule({"kind": "toolName", "op": "eq", "value": "refund"}))
    with a_desk(file, stateless) as desk:
        desk.asks("refund")
        statements: list[Any] = []
        engine = desk.plane._database._process.get().engine
        event.listen(engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
        assert not desk.may("refund")
        assert desk.may("search")
        assert [] == statements
