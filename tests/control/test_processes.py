"""Processes that die: what they had been answered stays, and the others go on."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.support.control import a_desk, a_limit, a_policy, a_rule, all_do, url_of, workers

MANY = a_policy(a_rule(a_limit(100_000, per="agent")))


def counted(file: Path) -> dict[str, int]:
    """Return how many calls of each run the database knows."""
    engine = create_engine(url_of(file))
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT run_id, count(*) AS number FROM calls GROUP BY run_id")).all()
        if engine.dialect.name == "sqlite":
            assert "ok" == connection.execute(text("PRAGMA integrity_check")).scalar()
    engine.dispose()
    return {row.run_id: row.number for row in rows}


@pytest.mark.slow
def test_a_killed_process_loses_nothing_that_it_was_answered(tmp_path: Path) -> None:
    """Kill -9 in a stream of decisions leaves all that were answered, and at most the one in flight; others go on."""
    file = tmp_path / "plane.db"
    with workers(4, file, MANY) as crowd:
        doomed, witness = crowd[:3], crowd[3]
        for number, worker in enumerate(doomed):
            worker.tell("stream", run=f"doomed-{number}")
        heard = [sum(worker.hear() for _ in range(40)) for worker in doomed]
        for worker in doomed:
            os.kill(worker.process.pid, signal.SIGKILL)
        assert [20] == all_do([witness], "race", threads=4, attempts=5, run="witness")
        answered = [
            known + worker.process.stdout.read().count("true\n") for known, worker in zip(heard, doomed, strict=True)
        ]
        assert [-signal.SIGKILL] * 3 == [worker.process.wait(10) for worker in doomed]
    found = counted(file)
    assert 20 == found["witness"]
    assert all(40 <= answered[number] <= found[f"doomed-{number}"] <= answered[number] + 1 for number in range(3))


@pytest.mark.slow
def test_a_process_killed_while_it_writes_holds_nobody_up(tmp_path: Path) -> None:
    """A process killed inside its write transaction leaves neither a lock nor half of what it did."""
    file = tmp_path / "plane.db"
    with workers(1, file, MANY) as (doomed,), a_desk(file, MANY) as desk:
        assert [1] == all_do([doomed], "race", threads=1, run="before")
        doomed.tell("stall", run="half")
        assert "inside" == doomed.hear()
        os.kill(doomed.process.pid, signal.SIGKILL)
        doomed.process.wait(10)
        assert desk.may(run="after", budget=5)
    assert {"before": 1, "after": 1} == counted(file)
