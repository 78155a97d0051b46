"""Servers that are killed in the middle of their work, and servers whose disk is full."""

from __future__ import annotations

import os
import resource
import signal
import threading
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest
from attrs import evolve
from sqlalchemy import func, select

from handlebar._plumbing.clock import Deadline
from handlebar.control.tables import calls
from handlebar.core.run import Run
from tests.support.balancing import balanced
from tests.support.control import PATIENT, a_desk, a_limit, a_policy, a_rule
from tests.support.servers import Served, servers
from tests.support.waiting import eventually

MOST = 200
LIMIT = a_policy(a_rule(a_limit(MOST, per="agent")))
THREE = a_policy(a_rule(a_limit(3, per="agent")))
THREADS = 32
EACH = 10


def counted(file: Path) -> dict[str, int]:
    """Return how many calls of each run the database counts."""
    with a_desk(file, slug="witness") as desk, desk.plane._database.read(Deadline.after(PATIENT)) as connection:
        found = connection.execute(select(calls.c.run_id, func.count().label("number")).group_by(calls.c.run_id))
        return {row.run_id: row.number for row in found}


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_nothing_that_was_answered_is_lost_with_a_server(tmp_path: Path) -> None:
    """
    One of two servers is killed under the load of 32 threads, which go on with the other one.

    Each call that was allowed counts in the database, before the kill and after, and no more are allowed than may.
    """
    file, deadline = tmp_path / "plane.db", Deadline.after(120.0)
    allowed: Counter[str] = Counter()
    decided: Counter[str] = Counter()
    with servers(2, file, LIMIT) as both, balanced([each.url for each in both]) as url, ExitStack() as stack:
        place = evolve(both[0], url=url)
        clients = [stack.enter_context(place.client(decision_timeout=5.0)) for _ in range(4)]
        runs = [stack.enter_context(clients[number % 4].run(f"run-{number}")) for number in range(THREADS)]

        def work(run: Run) -> None:
            while decided[run.run_id] < EACH and not deadline.passed:
                decision = run.before_tool_sync("refund", {})
                # A fail-closed answer says that nobody decided, and stops the run; here its agent asks all the same.
                if decision.decided_by is None:
                    break
                decided[run.run_id] += 1
                allowed[run.run_id] += decision.allowed

        threads = [threading.Thread(target=work, args=(run,), daemon=True) for run in runs]
        for thread in threads:
            thread.start()
        assert eventually(lambda: decided.total() >= THREADS, seconds=90)
        os.kill(both[0].process.pid, signal.SIGKILL)
        for thread in threads:
            thread.join(120)
        in_the_database = counted(file)
    assert {EACH} == {decided[run.run_id] for run in runs}
    assert all(allowed[run] <= in_the_database.get(run, 0) for run in allowed)
    # Of what was in flight some has taken its place, and was asked for again.
    assert MOST - THREADS <= allowed.total() <= sum(in_the_database.values()) <= MOST


def has_room(served: Served, *, room: bool) -> None:
    """Let a server write to its files, or let them be full."""
    most = resource.RLIM_INFINITY if room else 4096
    resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))


@pytest.mark.slow
@pytest.mark.sqlite
@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux changes the limits of another process")
@pytest.mark.parametrize("fail_closed", [True, False])
def test_a_server_whose_disk_is_full(tmp_path: Path, fail_closed: bool) -> None:
    """Its clients get the answer that they were made for; with room again it decides, and has lost count of nothing."""
    with servers(1, tmp_path / "plane.db", THREE) as (served,), ExitStack() as stack:
        client = stack.enter_context(served.client(fail_closed=fail_closed, decision_timeout=2.0))

        def asks() -> tuple[bool, bool]:
            """Whether a call of a new run is allowed, and whether anybody has decided that."""
            with client.run() as run:
                decision = run.before_tool_sync("refund", {})
            return decision.allowed, decision.decided_by is not None

        assert (True, True) == asks()
        has_room(served, room=False)
        assert [(not fail_closed, False)] * 2 == [asks() for _ in range(2)]
        has_room(served, room=True)
        deadline = Deadline.after(60.0)
        answers = [asks()]
        while not answers[-1][1] and not deadline.passed:
            answers.append(asks())
        assert [(True, True), (True, True), (False, True)] == [answers[-1], asks(), asks()]
