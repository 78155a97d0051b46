"""What people can ask a control plane beyond what its other tests show."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from handlebar._plumbing.clock import Deadline
from handlebar.control.administration import Administration
from handlebar.control.browsing import RunFilter
from handlebar.control.database import Database
from handlebar.control.keys import KeyRing, NewKey
from handlebar.core.plane import StartRequest
from handlebar.errors import RefusedError, UnreachableError
from tests.support.control import PATIENT, Desk, a_desk, a_limit, a_policy, a_rule, an_event, at_once, url_of


def started(desk: Desk, run: str, *, run_ttl_ms: float | None = None) -> None:
    """Start a run."""
    request = StartRequest(agent_id=desk.agent_id, run_id=run, run_ttl_ms=run_ttl_ms)
    desk.plane.start_run(request, budget=PATIENT)


def test_agents_by_their_ids() -> None:
    """`agent_slugs` knows every agent of the tenant."""
    with a_desk(None) as desk:
        assert {desk.agent_id: "desk"} == desk.plane.agent_slugs()


def test_policies_in_force() -> None:
    """`policies` returns what was put in force."""
    with a_desk(None, a_policy(a_rule(a_limit(1)))) as desk:
        assert ["the policy"] == [policy.name for policy in desk.plane.policies()]


def test_runs_that_share_an_id(tmp_path: Path) -> None:
    """One run id with two agents is two runs, and two chains to verify."""
    file = tmp_path / "plane.db"
    with a_desk(file) as one, a_desk(file, slug="other") as two:
        for desk in (one, two):
            started(desk, "run")
            desk.tells("batch", an_event("run", "x"))
        agents = {one.agent_id, two.agent_id}
        assert agents == {run.agent_id for run in one.plane.runs_of_id("run")}
        assert agents == {report.agent_id for report in one.plane.verify_chains("run")}
        assert [] == one.plane.runs_of_id("unknown")


class TestTimesToLive:
    """Runs whose time is over have ended, whoever was there to say so or not."""

    def test_over(self, tmp_path: Path) -> None:
        """A run that nobody ends is a timeout from its moment on; one that was ended keeps what was said."""
        with a_desk(tmp_path / "plane.db") as desk:
            for run, milliseconds in {"killed": 0.001, "ended": 0.001, "lives": 1e308}.items():
                started(desk, run, run_ttl_ms=milliseconds)
            started(desk, "for ever")
            desk.plane.end_run(desk.agent_id, "ended", "success", budget=PATIENT)
            shown = {run.run_id: run for run in desk.plane.runs()}
            statuses = {"killed": "timeout", "ended": "success", "lives": "active", "for ever": "active"}
            assert statuses == {run: view.status for run, view in shown.items()}
            assert shown["killed"].ended_at == shown["killed"].started_at + timedelta(microseconds=1)
            for status in ("active", "timeout", "success"):
                found = desk.plane.page_of_runs(RunFilter(status=status)).items
                assert {run for run, each in statuses.items() if each == status} == {run.run_id for run in found}

    def test_parked(self, tmp_path: Path) -> None:
        """Parking stops the clock, and going on winds it up again."""
        with a_desk(tmp_path / "plane.db") as desk:

            def status() -> str:
                return desk.plane.runs_of_id("run")[0].status

            started(desk, "run", run_ttl_ms=0.001)
            assert "timeout" == status()
            started(desk, "run")
            assert "active" == status()
            started(desk, "run", run_ttl_ms=0.001)
            assert "timeout" == status()


def test_every_trace_of_a_run_is_verified() -> None:
    """A run that has only been started is verified, as is one that has only events."""
    with a_desk(None) as desk:
        started(desk, "silent")
        desk.tells("batch", an_event("unknown", "x"), an_event("unknown", "y"))
        reports = {each.run_id: (each.chain.intact, each.chain.length) for each in desk.plane.verify_chains()}
        assert {"silent": (True, 0), "unknown": (True, 2)} == reports


def test_stored_events_are_those_of_the_tenant(tmp_path: Path) -> None:
    """`stored_events` yields the events of one run or of all, in order; another tenant sees none of them."""
    file = tmp_path / "plane.db"
    with a_desk(file) as desk, closing(Database(url_of(file))) as database:
        desk.tells("batch", *[an_event(f"run {number % 2}", str(number)) for number in range(1201)])
        stored = [event.body for event in desk.plane.stored_events()]
        assert [an_event("", str(number)).text for number in range(1201)] == stored
        assert 600 == len(list(desk.plane.stored_events("run 1")))
        other = Administration(database, "north")
        assert [[], [], [], {}] == [
            list(other.stored_events()),
            list(other.verify_chains()),
            other.runs_of_id("run 1"),
            other.agent_slugs(),
        ]


def test_one_first_key_is_made(tmp_path: Path) -> None:
    """Of servers that start on one empty database at the same moment, one makes the first key, which is an admin's."""

    def start() -> NewKey | None:
        with closing(Database(url_of(tmp_path / "plane.db"))) as database:
            return KeyRing(database).create_first("first")

    (made,) = [key for key in at_once([start] * 6) if key is not None]
    assert ("admin", "default") == (made.record.role, made.record.tenant)
    assert start() is None


def test_a_key_is_revoked_by_its_tenant() -> None:
    """Where a tenant is named, a key of another is not found."""
    with closing(Database("sqlite://")) as database:
        ring = KeyRing(database)
        made = ring.create("a", role="agent", tenant="north")
        with pytest.raises(RefusedError, match="no key"):
            ring.revoke(made.record.id, tenant="south")
        assert ring.find(made.secret) is not None
        ring.revoke(made.record.id, tenant="north")
        assert ring.find(made.secret) is None


def test_the_version_of_the_tables() -> None:
    """`tables_version` looks without making the tables; those of a newer package are not worked with."""
    deadline = Deadline.after(PATIENT)
    with closing(Database("sqlite://")) as database:
        assert database.tables_version(deadline) is None
        with database.write(deadline):
            pass
        assert "0001" == database.tables_version(deadline)


def test_tables_of_a_newer_package(tmp_path: Path) -> None:
    """Tables of a version that this package does not know are answered with an error of ours."""
    url, deadline = url_of(tmp_path / "plane.db"), Deadline.after(PATIENT)
    with closing(Database(url)) as database, database.write(deadline) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with (
        closing(Database(url)) as database,
        pytest.raises(UnreachableError, match="another version"),
        database.read(deadline),
    ):
        pass
