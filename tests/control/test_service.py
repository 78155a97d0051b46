"""The embedded control plane through its own face: agents, runs, decisions, threads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from handlebar._plumbing import safe_json
from handlebar.control import open_control_plane
from handlebar.core.measuring import Measured
from handlebar.core.plane import EvaluateRequest, StartRequest
from handlebar.core.schema.agents import Actor, AgentDescriptor, ModelInfo, Tool
from handlebar.core.schema.governance import HitlPendingCause
from handlebar.errors import ConfigError, ControlPlaneError, RefusedError
from tests.support.control import PATIENT, ROOT, a_desk, a_limit, a_policy, a_rule, an_event, at_once, url_of

ASK_A_PERSON = a_policy(a_rule({"kind": "toolName", "op": "eq", "value": "refund"}, "hitl"))


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    return tmp_path / "plane.db"


def rows_of(file: Path, query: str) -> list[tuple]:
    """Return what *query* finds in *file*, over a connection of its own."""
    engine = create_engine(url_of(file))
    with engine.connect() as connection:
        # Whether JSON comes as text or as what it says is the driver's choice.
        rows = [
            tuple(safe_json.encode(each) if isinstance(each, list) else each for each in row)
            for row in connection.execute(text(query))
        ]
    engine.dispose()
    return rows


def test_one_slug_is_one_agent(file: Path) -> None:
    """Registering a slug again, from here or from another plane, gives the same id and the newer description."""
    with a_desk(file) as here, a_desk(file, tags=["money"]) as there:
        assert here.agent_id == there.agent_id
        here.plane.register_agent(AgentDescriptor("desk", "Desk", "Pays back"), [], budget=PATIENT)
    assert [("desk", "Desk", "Pays back", "[]")] == rows_of(file, "SELECT slug, name, description, tags FROM agents")


def test_another_slug_is_another_agent(file: Path) -> None:
    """Two slugs have two ids."""
    with a_desk(file) as one, a_desk(file, slug="other") as other:
        assert one.agent_id != other.agent_id


def test_registering_at_once_makes_one_agent(file: Path) -> None:
    """Sixteen threads that register the same slug are given one id."""
    with a_desk(file, slug="first") as desk:
        agent = AgentDescriptor("desk")
        ids = at_once([lambda: desk.plane.register_agent(agent, [Tool("pay")], budget=PATIENT)] * 16)
    assert 1 == len(set(ids))
    assert 1 == len(rows_of(file, "SELECT * FROM tools"))


def test_tools_are_replaced(file: Path) -> None:
    """The tools registered last are the agent's tools; of two with one name the later counts."""
    with a_desk(file) as desk:
        desk.plane.register_tools(desk.agent_id, [Tool("pay"), Tool("look")], budget=PATIENT)
        desk.plane.register_tools(desk.agent_id, [Tool("pay", "old"), Tool("pay", "new", ("money",))], budget=PATIENT)
    assert [("pay", "new", '["money"]')] == rows_of(file, "SELECT name, description, tags FROM tools")


def test_no_tools_are_an_answer_too(file: Path) -> None:
    """Registering an empty list takes all tools away."""
    with a_desk(file) as desk:
        desk.plane.register_tools(desk.agent_id, [Tool("pay")], budget=PATIENT)
        desk.plane.register_tools(desk.agent_id, [], budget=PATIENT)
    assert [] == rows_of(file, "SELECT * FROM tools")


def test_a_run_starts_and_ends_once(file: Path) -> None:
    """A second start changes nothing, and the first end stays."""
    with a_desk(file) as desk:
        actor = Actor("ann", {"tier": "gold"})
        for session in ("one", "two"):
            request = StartRequest(
                run_id="run", agent_id=desk.agent_id, session_id=session, actor=actor, model=ModelInfo("m")
            )
            assert not desk.plane.start_run(request, budget=PATIENT).active
        (started,) = desk.plane.runs()
        desk.plane.end_run(desk.agent_id, "run", "success", budget=PATIENT)
        (ended,) = desk.plane.runs()
        desk.plane.end_run(desk.agent_id, "run", "error", budget=PATIENT)
        assert [ended] == desk.plane.runs()
    assert ("active", "one", "ann", None) == (started.status, started.session_id, started.actor_id, started.ended_at)
    assert "success" == ended.status
    assert ended.ended_at is not None
    assert started.started_at == ended.started_at <= ended.ended_at


def test_a_run_that_never_started_ends_without_harm(file: Path) -> None:
    """Ending an unknown run neither raises nor makes one."""
    with a_desk(file) as desk:
        desk.plane.end_run(desk.agent_id, "unknown", "success", budget=PATIENT)
        assert [] == desk.plane.runs()


def test_runs_are_shown_newest_first(file: Path) -> None:
    """`runs` returns the latest, newest first, no more than asked for."""
    with a_desk(file) as desk:
        for run in ("a", "b", "c"):
            desk.plane.start_run(StartRequest(run_id=run, agent_id=desk.agent_id), budget=PATIENT)
        assert ["c", "b"] == [run.run_id for run in desk.plane.runs(limit=2)]


def test_a_stranger_is_refused(file: Path) -> None:
    """A decision for an agent id that nobody registered is a RefusedError."""
    with a_desk(file, ASK_A_PERSON) as desk:
        stranger = EvaluateRequest(phase="tool.before", run_id="r", agent_id="?", tool_name="pay", args=Measured.of({}))
        with pytest.raises(RefusedError, match="no agent"):
            desk.plane.evaluate(stranger, budget=PATIENT)


def test_an_agent_registered_elsewhere_is_known(file: Path) -> None:
    """A plane that never registered the agent decides for it by slug and tags, from the file."""
    only_money = a_policy(
        a_rule({"kind": "toolName", "op": "eq", "value": "refund"}), agentSelector={"anyOfTags": ["m"]}
    )
    with a_desk(file, tags=["m"]) as first, a_desk(file, only_money, slug="other") as second:
        elsewhere = type(first)(second.plane, first.agent_id)
        assert not elsewhere.may("refund")
        assert second.may("refund")


def test_new_tags_of_an_agent_count_at_once(file: Path) -> None:
    """An agent that registers again with other tags is judged by the policies for those."""
    only_money = a_policy(
        a_rule({"kind": "toolName", "op": "eq", "value": "refund"}), agentSelector={"anyOfTags": ["m"]}
    )
    with a_desk(file, only_money) as desk:
        assert desk.may("refund")
        desk.plane.register_agent(AgentDescriptor("desk", tags=["m"]), [], budget=PATIENT)
        assert not desk.may("refund")


def test_one_question_for_each_fingerprint(file: Path) -> None:
    """The same call, its arguments in any order, in any run, from any thread or plane, is one pending approval."""
    with a_desk(file, ASK_A_PERSON) as desk, a_desk(file, ASK_A_PERSON) as again:
        asked = [lambda: desk.asks(args={"a": 1, "b": 2}), lambda: again.asks(args={"b": 2, "a": 1}, run="x")] * 8
        decisions = at_once(asked)
    ids = {decision.cause.approval_id for decision in decisions if isinstance(decision.cause, HitlPendingCause)}
    assert 16 == sum(decision.terminates and not decision.allowed for decision in decisions)
    assert [(*ids, "pending")] == rows_of(file, "SELECT id, status FROM approvals")


def test_another_argument_is_another_question(file: Path) -> None:
    """Other arguments, another tool or another agent ask anew."""
    everything = a_policy(a_rule({"kind": "toolName", "op": "glob", "value": "*"}, "hitl"))
    with a_desk(file, everything) as desk, a_desk(file, slug="other") as other:
        asked = [desk.asks(), desk.asks(args={"a": 1}), desk.asks(args={"a": "1"}), desk.asks("pay"), other.asks()]
    assert 5 == len({decision.cause.approval_id for decision in asked if isinstance(decision.cause, HitlPendingCause)})
    assert 5 == len(rows_of(file, "SELECT id FROM approvals"))


@pytest.mark.parametrize(("status", "allowed"), [("approved", True), ("denied", False)])
def test_an_answer_is_found_by_the_same_call(file: Path, status: str, allowed: bool) -> None:
    """What a person has answered holds at the next decision on the same call, and on no other."""
    with a_desk(file, ASK_A_PERSON) as desk:
        desk.asks(args={"a": 1})
        engine = create_engine(url_of(file))
        with engine.begin() as connection:
            connection.execute(text("UPDATE approvals SET status = :status"), {"status": status})
        engine.dispose()
        answered, other = desk.asks(args={"a": 1}), desk.asks(args={"a": 2})
    assert allowed == answered.allowed
    assert not answered.terminates
    assert isinstance(other.cause, HitlPendingCause)


def test_a_plane_in_memory_serves_all_threads() -> None:
    """`sqlite://` keeps one truth for the threads of the process, with nothing on disk."""
    with a_desk(None, a_policy(a_rule(a_limit(5)))) as desk:
        assert 5 == sum(at_once([desk.may] * 16))
        desk.tells("batch", an_event("run", "x"))
        assert [{"said": "x"}] == desk.plane.events("run")
        desk.plane.close()
        assert not desk.may()


IN_MEMORY = """
import gc
from tests.support.control import a_desk
for _ in range(3):
    with a_desk(None) as desk:
        assert desk.may()
    del desk
    gc.collect()
with a_desk(None) as desk:
    assert desk.may()
"""


def test_a_plane_in_memory_leaves_nothing_open() -> None:
    """What is kept in memory is let go when nobody holds the plane any more, or the interpreter ends."""
    assert (0, "") == strictly_run(IN_MEMORY)


def test_closing_is_not_the_end(file: Path) -> None:
    """A closed plane may be closed again, and opens anew when it is used."""
    with a_desk(file, a_policy(a_rule(a_limit(1)))) as desk:
        assert desk.may()
        desk.plane.close()
        desk.plane.close()
        assert not desk.may()


@pytest.mark.parametrize("url", ["sqlite://host/file.db", "postgresql://h/d", "sqlite", "sqlite:/x", ":memory:"])
def test_other_urls_are_refused(url: str) -> None:
    """What is no SQLite URL is a ConfigError that says what one looks like, before anything is opened."""
    with pytest.raises(ConfigError, match=r"sqlite:///file\.db"):
        open_control_plane(url)


def test_opening_touches_nothing(file: Path) -> None:
    """A plane that was made and not used has made no file."""
    open_control_plane(url_of(file), policies=[ASK_A_PERSON]).close()
    assert not file.exists()


ANY_TEXT = st.text(st.characters(exclude_categories=()), min_size=1, max_size=8).filter(str.strip)
NUMBERS = st.one_of(st.floats(), st.integers(-(2**80), 2**80))


def test_nothing_but_errors_of_the_control_plane(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever names, tags, ids and numbers hold (surrogates, NULs, quotes, infinities), no other error comes out."""
    by_tag = a_limit(2, "*", per="agent", tagFilter={'a."b': "c"})
    cost = {
        "kind": "metricWindow",
        "scope": "agent_user",
        "aggregate": "sum",
        "op": "gt",
        "value": 5,
        "windowSeconds": 9,
    }
    policies = a_policy(
        a_rule(by_tag, name="count"),
        a_rule({**cost, "metric": {"kind": "custom", "key": "cost"}}, "hitl", name="cost"),
    )

    @settings(max_examples=60, deadline=None)
    @given(ANY_TEXT, ANY_TEXT, ANY_TEXT, st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=2), NUMBERS)
    def check(tool: str, actor: str, run: str, tags: dict[str, str], number: float) -> None:
        try:
            desk.plane.register_tools(desk.agent_id, [Tool(tool, tags=(actor,))], budget=PATIENT)
            start = StartRequest(run_id=run, agent_id=desk.agent_id, session_id=tool, actor=Actor(actor))
            desk.plane.start_run(start, budget=PATIENT)
            desk.asks(
                tool, args={tool: actor}, run=run, actor=actor, tool_tags=(actor,), tags=tags, metrics={"cost": number}
            )
            desk.tells(tool, an_event(run, actor))
            desk.plane.end_run(desk.agent_id, run, "success", budget=PATIENT)
        except ControlPlaneError:
            pass

    with a_desk(tmp_path_factory.mktemp("any") / "plane.db", policies) as desk:
        check()


def test_sixteen_threads_leave_nothing_behind(file: Path) -> None:
    """Sixteen threads decide, record, start and end on one plane without an error, and close gives all back."""
    before = descriptors()
    with a_desk(file, a_policy(a_rule(a_limit(40, per="agent")))) as desk:

        def work(number: int) -> int:
            run = f"run-{number}"
            allowed = 0
            for step in range(10):
                desk.plane.start_run(StartRequest(run_id=run, agent_id=desk.agent_id), budget=PATIENT)
                allowed += desk.may(run=run)
                desk.tells(f"{run}-{step}", an_event(run, str(step)))
                desk.plane.end_run(desk.agent_id, run, "success", budget=PATIENT)
                assert desk.plane.verify_chain(desk.agent_id, run).intact
            return allowed

        assert 40 == sum(at_once([lambda number=number: work(number) for number in range(16)]))
        assert 16 == len(desk.plane.runs())
        assert 10 == len(desk.plane.events("run-3"))
    assert before == descriptors()


def descriptors() -> int:
    """Return how many files and sockets are open."""
    return len(os.listdir("/proc/self/fd"))


SCRIPT = """
import sys, threading
from pathlib import Path
from tests.support.control import a_desk, a_limit, a_policy, a_rule, an_event, at_once
with a_desk(Path(sys.argv[1]), a_policy(a_rule(a_limit(9)))) as desk:
    assert 9 == sum(at_once([desk.may] * 16))
    at_once([lambda: desk.tells("b", an_event("run", "x"))] * 16)
del desk
import gc; gc.collect()
"""


def test_no_resource_warning(file: Path) -> None:
    """An interpreter that treats warnings as errors has nothing to say about a plane that was closed."""
    assert (0, "") == strictly_run(SCRIPT, str(file))


def strictly_run(script: str, *args: str) -> tuple[int, str]:
    """Run *script* with warnings as errors; return how it ended, and what it complained of."""
    command = [sys.executable, "-W", "error", "-X", "dev", "-c", script, *args]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr
