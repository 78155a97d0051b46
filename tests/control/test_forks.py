"""Forks: parent and child on connections of their own, whatever the parent was doing."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from handlebar._plumbing.clock import Deadline
from handlebar.core.client import HandlebarClient
from handlebar.core.config import HandlebarClientConfig
from tests.support import clients
from tests.support.control import PATIENT, Desk, a_desk, a_limit, a_policy, a_rule, an_event, url_of
from tests.support.forks import in_child
from tests.support.tracing import untraced

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

FIVE = a_policy(a_rule(a_limit(5, per="agent")))


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    return tmp_path / "plane.db"


@pytest.fixture(name="desk")
def _desk(file: Path) -> Iterator[Desk]:
    with a_desk(file, FIVE) as desk:
        assert desk.may()
        yield desk


def test_parent_and_child_share_one_truth(desk: Desk) -> None:
    """A child of a parent that has decided already counts on, and the parent counts what the child was allowed."""
    assert "[True, True]" == in_child(lambda: str([desk.may() for _ in range(2)]))
    assert desk.may()
    assert "[True, False]" == in_child(lambda: str([desk.may() for _ in range(2)]))
    assert not desk.may()


def test_a_childs_child_counts_on(desk: Desk) -> None:
    """So do a child's children."""

    def child() -> str:
        return f"{desk.may()} {in_child(lambda: str(desk.may()))}"

    assert "True True" == in_child(child)
    assert [True, True, False] == [desk.may() for _ in range(3)]


def test_parent_and_children_write_one_chain(desk: Desk) -> None:
    """What parent and children record in one run is one chain."""

    def child(name: str) -> str:
        for number in range(5):
            desk.tells(f"{name}-{number}", an_event("run", f"{name}-{number}"))
        return "done"

    child("parent")
    assert ["done"] * 3 == [in_child(lambda name=name: child(name)) for name in "abc"]
    child("parent again")
    report = desk.plane.verify_chain(desk.agent_id, "run")
    assert (True, 25) == (report.intact, report.length)


def test_closing_in_the_child_closes_nothing_of_the_parents(desk: Desk) -> None:
    """A child that closes the plane, before or after it has used it, leaves the parent's connections alone."""

    def child() -> str:
        desk.plane.close()
        allowed = desk.may()
        desk.plane.close()
        return str(allowed)

    assert "True" == in_child(child)
    assert desk.may()


def test_a_fork_while_another_thread_writes(desk: Desk) -> None:
    """A child that is forked while a thread of the parent is in its transaction decides once that has ended."""
    inside, let = threading.Event(), threading.Event()

    def hold() -> None:
        with desk.plane._database.write(Deadline.after(PATIENT)):
            inside.set()
            let.wait(0.5)

    holder = threading.Thread(target=hold)
    holder.start()
    assert inside.wait(PATIENT)
    assert "True" == in_child(lambda: str(desk.may(budget=2)))
    let.set()
    holder.join()
    assert desk.may()


@pytest.mark.slow
def test_forks_amid_a_stream_of_decisions(desk: Desk) -> None:
    """However often a process forks while its threads decide, each child decides too, and nobody waits for ever."""
    stop = threading.Event()

    def stream() -> None:
        while not stop.is_set():
            desk.asks("look")
            desk.plane.register_tools(desk.agent_id, [], budget=PATIENT)

    threads = [threading.Thread(target=stream) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        assert ["True"] * 15 == [in_child(lambda: str(desk.may("look", budget=2))) for _ in range(15)]
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_the_child_outlives_the_parents_plane(file: Path) -> None:
    """What a child is allowed after the parent has closed its plane still counts for everybody who comes later."""
    told, tell = os.pipe()
    answer, say = os.pipe()
    with a_desk(file, FIVE) as desk:
        assert desk.may()
        with untraced():
            child = os.fork()
        if child == 0:
            os.write(say, b"1" if desk.may() else b"0")
            os.read(told, 1)
            os.write(say, b"1" if desk.may() else b"0")
            os.read(told, 1)
            os._exit(0)
        assert b"1" == os.read(answer, 1)
    os.write(tell, b"x")
    try:
        assert b"1" == os.read(answer, 1)
        with a_desk(file, FIVE) as later:
            assert [True, True, False] == [later.may() for _ in range(3)]
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        for end in (told, tell, answer, say):
            os.close(end)


def test_a_client_that_is_used_before_and_after_the_fork(file: Path) -> None:
    """A client decides and records in the parent, in the child and in the parent again."""
    config = HandlebarClientConfig(agent="desk", api_endpoint=url_of(file), policies=[FIVE])
    client = HandlebarClient.init_sync(config)
    clients.made.append(client)

    def use(run_id: str) -> str:
        with client.run(run_id) as run:
            return str([run.before_tool_sync("refund", {}).allowed for _ in range(2)])

    def child() -> str:
        allowed = use("child")
        client.shutdown_sync()
        return allowed

    assert "[True, True]" == use("parent")
    assert "[True, True]" == in_child(child)
    assert "[True, False]" == use("parent again")
    client.shutdown_sync()
    with a_desk(file) as desk:
        for run in ("parent", "child", "parent again"):
            assert desk.plane.verify_chain(desk.agent_id, run).intact
            assert 2 == sum("tool.decision" == event["kind"] for event in desk.plane.events(run))
        assert {"success"} == {run.status for run in desk.plane.runs()}
