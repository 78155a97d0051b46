"""Lockdowns: in force at the next decision, everywhere, until they are lifted or over."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

import handlebar
from handlebar.control import EmbeddedControlPlane, open_control_plane
from handlebar.core import Handlebar, HandlebarClientConfig, LockdownCause, RunConfig
from handlebar.core.plane import StartRequest
from handlebar.core.schema.agents import Actor
from handlebar.errors import ConfigError, RefusedError, RunTerminatedError
from tests.support.control import PATIENT, a_desk, at_once, url_of, workers


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    return tmp_path / "plane.db"


@pytest.fixture(name="guard")
def _guard(file: Path) -> Iterator[EmbeddedControlPlane]:
    """Somebody who locks down, from a control plane of their own on the same file."""
    plane = open_control_plane(url_of(file))
    yield plane
    plane.close()


def test_an_agent_may_do_nothing_until_it_is_lifted(file: Path, guard: EmbeddedControlPlane) -> None:
    """The next decision, of a plane that has decided before, says so and names the lockdown."""
    with a_desk(file) as desk, a_desk(file, slug="other") as other:
        assert desk.may()
        made = guard.lock_down("desk", "somebody broke in")
        decision = desk.asks()
        assert (False, True, LockdownCause(made.id)) == (decision.allowed, decision.terminates, decision.cause)
        assert "The agent is locked down: somebody broke in" == decision.message
        assert other.may()
        assert [made] == guard.lockdowns("desk") == guard.lockdowns()
        assert 1 == guard.lift_lockdown("desk")
        assert desk.may()
    assert [] == guard.lockdowns()
    assert 0 == guard.lift_lockdown("desk")


def test_one_tool_is_locked_down(file: Path, guard: EmbeddedControlPlane) -> None:
    """In any case; the others may be called."""
    with a_desk(file) as desk:
        guard.lock_down("desk", "it is broken", tool="Refund")
        assert [False, True] == [desk.may("refund"), desk.may("search")]
        assert 0 == guard.lift_lockdown("desk")
        assert 1 == guard.lift_lockdown("desk", tool="Refund")
        assert desk.may("refund")


def test_one_actor_is_locked_down(file: Path, guard: EmbeddedControlPlane) -> None:
    """The agent may act for others, and for nobody."""
    with a_desk(file) as desk:
        guard.lock_down("desk", "a thief", actor="u-1")
        assert [False, True, True] == [desk.may(actor="u-1"), desk.may(actor="u-2"), desk.may()]


def test_it_ends_by_itself(file: Path, guard: EmbeddedControlPlane) -> None:
    """When its time has passed nothing has to be lifted."""
    with a_desk(file) as desk:
        past = datetime.now(timezone.utc) - timedelta(seconds=1)
        guard.lock_down("desk", "for a while", until=past)
        assert desk.may()
        assert [] == guard.lockdowns()


def test_a_run_that_starts_is_told(file: Path, guard: EmbeddedControlPlane) -> None:
    """With the reason and the end, where it is about the agent or the run's own actor."""
    until = datetime(2100, 1, 1, tzinfo=timezone.utc)
    with a_desk(file) as desk:

        def start(actor: str) -> tuple[bool, str | None, int | None]:
            request = StartRequest(run_id=actor, agent_id=desk.agent_id, actor=Actor(actor))
            lockdown = desk.plane.start_run(request, budget=PATIENT)
            return lockdown.active, lockdown.reason, lockdown.until_ts

        guard.lock_down("desk", "a thief", actor="u-1", until=until)
        guard.lock_down("desk", "it is broken", tool="refund")
        assert (True, "a thief", int(until.timestamp() * 1000)) == start("u-1")
        assert (False, None, None) == start("u-2")


def test_a_run_in_progress_stops(file: Path, guard: EmbeddedControlPlane) -> None:
    """The next guarded call raises, and the latch holds although the lockdown is lifted."""
    client = Handlebar.init_sync(HandlebarClientConfig("desk", api_endpoint=url_of(file)))

    @handlebar.tool
    def search() -> str:
        return "found"

    def work() -> None:
        with client.run():
            assert "found" == search()
            guard.lock_down("desk", "stop everything")
            search()

    with pytest.raises(RunTerminatedError, match="stop everything"):
        work()
    assert not client.start_run_sync(RunConfig("next")).before_tool_sync("search", {}).allowed
    guard.lift_lockdown("desk")
    assert client.start_run_sync(RunConfig("last")).before_tool_sync("search", {}).allowed
    client.shutdown_sync()


def test_threads_impose_and_lift_at_once(file: Path, guard: EmbeddedControlPlane) -> None:
    """What is left in the end is nothing, once all is lifted."""
    with a_desk(file) as desk:
        at_once([lambda: guard.lock_down("desk", "a")] * 6 + [lambda: guard.lift_lockdown("desk")] * 6)
        guard.lift_lockdown("desk")
        assert desk.may()


@pytest.mark.slow
def test_every_process_obeys_at_its_next_decision(file: Path, guard: EmbeddedControlPlane) -> None:
    """Also those that have decided before."""
    with workers(3, file) as crowd:
        for each in crowd:
            each.tell("race", threads=2)
            assert 2 == each.hear()
        guard.lock_down("desk", "stop")
        for each in crowd:
            each.tell("race", threads=2)
            assert 0 == each.hear()


def test_bad_lockdowns_are_refused_at_the_door(file: Path, guard: EmbeddedControlPlane) -> None:
    """The error names the field, or the agent that does not exist."""
    with a_desk(file):
        with pytest.raises(ConfigError, match="reason"):
            guard.lock_down("desk", " ")
        with pytest.raises(ConfigError, match="until"):
            guard.lock_down("desk", "x", until=datetime(2100, 1, 1))  # what is tested
        for call in (lambda: guard.lock_down("nobody", "x"), lambda: guard.lift_lockdown("nobody")):
            with pytest.raises(RefusedError, match="no agent with the slug 'nobody'"):
                call()
