"""Runs of pool processes that are killed, told of by the main process."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

pytest.importorskip("celery", reason="Celery is not installed: pip install handlebar[celery]")

from tests.integrations.celery.conftest import Desk
from tests.support.celery_workers import PATIENCE

pytestmark = pytest.mark.slow


def publish(desk: Desk, name: str, session: str) -> Any:
    """Publish a task from a run of its own, and wait until it has begun."""
    with desk.module.client.run(f"web-{session}", session_id=session):
        sent = getattr(desk.module, name).delay()
    assert desk.plane.wait_for(lambda: 2 == len(desk.runs(session)), PATIENCE)
    return sent


def child_of(desk: Desk, session: str) -> str:
    """Return the task's run."""
    return next(run for run in desk.runs(session) if not run.startswith("web-"))


def kill_children(desk: Desk) -> None:
    """Kill every process that executes a task."""
    active = desk.app.control.inspect(timeout=2).active()
    for task in [task for tasks in active.values() for task in tasks]:
        os.kill(task["worker_pid"], signal.SIGKILL)


def test_killed(desk: Desk) -> None:
    """Check 16: the run of a killed child is interrupted, once; what is delivered again is a run of its own."""
    names = ("hang", "hang_late", "hang_at_first")
    with desk.worker("prefork", "-c", "3"):
        sent = {name: publish(desk, name, name) for name in names}
        first = {name: child_of(desk, name) for name in names}
        kill_children(desk)
        again = sent["hang_at_first"].get(timeout=PATIENCE)
        assert desk.all_have_ended("hang_at_first", 3)
        for name in names:
            assert desk.plane.wait_for(lambda run=first[name]: ["interrupted"] == desk.endings(run), PATIENCE), name
    assert first["hang_at_first"] != again["run"]
    tags = again["tags"]
    assert (sent["hang_at_first"].id, "true") == (tags["celery.task_id"], tags["celery.redelivered"])
    assert {"hang": 2, "hang_late": 2, "hang_at_first": 3} == {name: len(desk.runs(name)) for name in names}


def test_ended(desk: Desk) -> None:
    """Check 17: a run that is revoked, or is over its time, ends once, by whoever can tell."""
    with desk.worker("prefork", "-c", "4"):
        soft = publish(desk, "over_the_soft_limit", "soft")
        publish(desk, "over_the_hard_limit", "hard")
        publish(desk, "leave", "leave")
        desk.app.control.revoke(publish(desk, "hang", "term").id, terminate=True, signal="SIGTERM")
        desk.app.control.revoke(publish(desk, "hang", "kill").id, terminate=True, signal="SIGKILL")
        with pytest.raises(Exception, match="SoftTimeLimitExceeded"):
            soft.get(timeout=PATIENCE)
        ends = {
            "soft": "error",
            "hard": "timeout",
            "leave": "interrupted",
            "term": "interrupted",
            "kill": "interrupted",
        }
        for session in ends:
            assert desk.all_have_ended(session, 2), session
    assert {name: [end] for name, end in ends.items()} == {name: desk.endings(child_of(desk, name)) for name in ends}
