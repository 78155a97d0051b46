"""Letting go of old events."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path

import pytest

from handlebar.control.retention import Pruned
from handlebar.control.service import EmbeddedControlPlane, open_control_plane
from tests.control.test_browsing import agent_in, recorded
from tests.support.control import url_of

CUT = datetime(2026, 7, 1, 12, 0, 30, tzinfo=timezone.utc)


@pytest.fixture(name="plane")
def _plane(tmp_path: Path) -> Iterator[EmbeddedControlPlane]:
    with closing(open_control_plane(url_of(tmp_path / "plane.db"))) as plane:
        yield plane


def test_old_runs_go_and_others_stay(plane: EmbeddedControlPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only runs whose events are all older are pruned, however few are looked at at once; then all verify."""
    monkeypatch.setattr("handlebar.control.browsing_administration._PRUNED_AT_ONCE", 1)
    agent = agent_in(plane, "one")
    for run, seconds in (("old", (1, 2)), ("new", (40,)), ("both", (3, 41)), ("older", (0,))):
        for second in seconds:
            recorded(plane, agent, run, second, f'{{"n": {second}}}')
    assert 3 == sum(done.events for done in plane.prune_events(CUT, dry=True))
    assert 6 == plane.number_of_events()
    done = list(plane.prune_events(CUT))
    assert (2, 3) == (sum(each.runs for each in done), sum(each.events for each in done))
    assert (0, 0, 1, 2) == tuple(plane.number_of_events(run) for run in ("old", "older", "new", "both"))
    reports = {each.run_id: each.chain for each in plane.verify_chains()}
    assert [True] * 4 == [each.intact for each in reports.values()]
    assert ((0, 2), (2, 0)) == tuple((reports[run].length, reports[run].pruned) for run in ("old", "both"))
    assert [Pruned()] == [each for each in plane.prune_events(CUT) if each.last is None]


def test_a_pruned_run_goes_on(plane: EmbeddedControlPlane) -> None:
    """What is recorded of a run after it was pruned is chained to what was there, and can be pruned in turn."""
    agent = agent_in(plane, "one")
    recorded(plane, agent, "run", 1, "{}")
    list(plane.prune_events(CUT))
    recorded(plane, agent, "run", 2, '{"n": 2}')
    report = plane.verify_chain(agent, "run")
    assert (True, 1, 1) == (report.intact, report.length, report.pruned)
    list(plane.prune_events(CUT))
    report = plane.verify_chain(agent, "run")
    assert (True, 0, 2) == (report.intact, report.length, report.pruned)


@pytest.mark.sqlite
def test_what_was_tampered_with_is_not_hidden(plane: EmbeddedControlPlane, tmp_path: Path) -> None:
    """A run whose chain is broken is not pruned, and one that was is found where somebody changes it later."""
    import sqlite3

    agent = agent_in(plane, "one")
    for second in (1, 2):
        recorded(plane, agent, "run", second, "{}")
    with closing(sqlite3.connect(tmp_path / "plane.db")) as connection, connection:
        connection.execute("UPDATE events SET body = '[]' WHERE seq = 2")
    assert 0 == sum(done.runs for done in plane.prune_events(CUT))
    assert (False, 1) == (plane.verify_chain(agent, "run").intact, plane.verify_chain(agent, "run").broken_at)
    with closing(sqlite3.connect(tmp_path / "plane.db")) as connection, connection:
        connection.execute("UPDATE events SET body = '{}' WHERE seq = 2")
    list(plane.prune_events(CUT))
    recorded(plane, agent, "run", 3, "{}")
    with closing(sqlite3.connect(tmp_path / "plane.db")) as connection, connection:
        connection.execute("DELETE FROM events")
    assert (False, 2) == (plane.verify_chain(agent, "run").intact, plane.verify_chain(agent, "run").broken_at)
