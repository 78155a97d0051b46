"""Runs and events, page by page."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from handlebar.control.browsing import EventFilter, Page, RunFilter
from handlebar.control.database import Database
from handlebar.control.service import EmbeddedControlPlane, open_control_plane
from handlebar.core.plane import EncodedEvent, StartRequest
from handlebar.core.schema.agents import Actor, AgentDescriptor
from handlebar.errors import ConfigError
from tests.support.control import url_of

SECONDS = 5.0


@pytest.fixture(name="plane")
def _plane(tmp_path: Path) -> Any:
    with closing(open_control_plane(url_of(tmp_path / "plane.db"))) as plane:
        yield plane


def agent_in(plane: EmbeddedControlPlane, slug: str) -> str:
    """Make an agent known; return its id."""
    return plane.register_agent(AgentDescriptor(slug), [], budget=SECONDS)


def started(plane: EmbeddedControlPlane, agent_id: str, run_id: str, actor: str | None = None, **more: Any) -> None:
    """Start a run."""
    request = StartRequest(run_id=run_id, agent_id=agent_id, actor=Actor(actor) if actor else None, **more)
    plane.start_run(request, budget=SECONDS)


def recorded(plane: EmbeddedControlPlane, agent_id: str, run_id: str, number: int, text: str, **more: str) -> None:
    """Record an event."""
    event = EncodedEvent(run_id, more.get("kind", "tool.decision"), f"2026-07-01T12:00:{number:02}.000000Z", text)
    plane.record(agent_id, f"{run_id} {number}", [event], budget=SECONDS)


def all_pages(ask: Any) -> list[Page[Any]]:
    """Follow the cursors to the end."""
    pages = [ask(None)]
    while pages[-1].next is not None:
        pages.append(ask(pages[-1].next))
    return pages


class TestRuns:
    @pytest.mark.sqlite
    def test_every_run_once(self, plane: EmbeddedControlPlane, tmp_path: Path) -> None:
        """Pages hold every run once, newest first, those too that have started in the same microsecond."""
        for agent in (agent_in(plane, "a"), agent_in(plane, "b")):
            for number in range(5):
                started(plane, agent, f"run {number}")
        with closing(sqlite3.connect(tmp_path / "plane.db")) as connection, connection:
            connection.execute("UPDATE runs SET started_at = 7 WHERE id > 'run 1'")
        whole = plane.page_of_runs()
        for limit in (1, 2, 3, 10):
            pages = all_pages(lambda after, limit=limit: plane.page_of_runs(limit=limit, after=after))
            assert list(whole.items) == [each for page in pages for each in page.items]
            assert all(len(page.items) <= limit for page in pages)
        assert 10 == len(set(whole.items))
        assert sorted((each.started_at for each in whole.items), reverse=True) == [
            each.started_at for each in whole.items
        ]

    def test_only_some(self, plane: EmbeddedControlPlane) -> None:
        """Each filter leaves the others out, and all are ANDed."""
        one, other = agent_in(plane, "one"), agent_in(plane, "other")
        started(plane, one, "1", "ann", session_id="s")
        started(plane, one, "2", "bob")
        started(plane, other, "3", "ann")
        plane.end_run(one, "2", "error", budget=SECONDS)

        def found(**wanted: Any) -> set[str]:
            return {each.run_id for each in plane.page_of_runs(RunFilter(**wanted)).items}

        past, future = datetime(2000, 1, 1, tzinfo=timezone.utc), datetime(2200, 1, 1, tzinfo=timezone.utc)
        assert {"1", "2"} == found(agent="one") == found(agent=one)
        assert ({"1", "3"}, {"1"}) == (found(actor="ann"), found(session="s"))
        assert ({"1", "3"}, {"2"}, set()) == (found(status="active"), found(status="error"), found(status="success"))
        assert ({"1", "2", "3"}, set()) == (found(since=past, until=future), found(since=future))
        assert {"1"} == found(agent="one", actor="ann")
        assert set() == found(agent="nobody")

    def test_by_what_was_decided(self, plane: EmbeddedControlPlane) -> None:
        """Runs are found by verdicts, rules and tags that came up in them, and by what rules in shadow would do."""
        one, other = agent_in(plane, "one"), agent_in(plane, "other")
        tagged = '{"data": {"verdict": "ALLOW", "tool": {"categories": ["pay", 7]}, "shadow": [{"ruleId": "s"}, 7]}}'
        for number, agent in enumerate((one, one, one, other)):
            started(plane, agent, f"{number}")
            recorded(plane, agent, f"{number}", 1, tagged if number else '{"data": []}')
        recorded(plane, one, "1", 2, '{"data": {"verdict": "BLOCK", "finalRuleId": "r", "tool": []}}')
        recorded(plane, one, "1", 3, '{"data": {"verdict": "BLOCK", "finalRuleId": "r"}}')

        def found(**wanted: Any) -> list[str]:
            pages = all_pages(lambda after: plane.page_of_runs(RunFilter(**wanted), limit=1, after=after))
            return [each.run_id for page in pages for each in page.items]

        assert (["3", "2", "1"], ["1"]) == (found(verdict="ALLOW"), found(verdict="BLOCK"))
        assert (["1"], ["3", "2", "1"], ["3", "2", "1"]) == (found(rule="r"), found(tag="pay"), found(shadow="s"))
        assert (["2", "1"], ["1"], []) == (
            found(tag="pay", agent="one"),
            found(verdict="ALLOW", rule="r"),
            found(rule="none"),
        )
        assert ([], ["3"]) == (found(tag="pay", agent="nobody"), found(shadow="s", agent=other))

    def test_another_tenant(self, plane: EmbeddedControlPlane, tmp_path: Path) -> None:
        """Nothing of another tenant is found, not by its agent's id either."""
        started(plane, agent := agent_in(plane, "one"), "1")
        from handlebar.control.administration import Administration

        with closing(Database(url_of(tmp_path / "plane.db"))) as database:
            north = Administration(database, "north")
            recorded(plane, agent, "1", 1, '{"data": {"verdict": "BLOCK"}}')
            assert () == north.page_of_runs().items == north.page_of_runs(RunFilter(agent=agent)).items
            assert () == north.page_of_runs(RunFilter(verdict="BLOCK")).items

    @pytest.mark.parametrize("cursor", ["", "nonsense", "é", "W10", "WzEsMl0", "bnVsbA"])
    def test_a_cursor_that_is_none(self, plane: EmbeddedControlPlane, cursor: str) -> None:
        """What no page has given is refused."""
        with pytest.raises(ConfigError, match="after"):
            plane.page_of_runs(after=cursor)


class TestEvents:
    def test_every_event_once(self, plane: EmbeddedControlPlane) -> None:
        """Pages hold every event once, in the order in which they were recorded."""
        agent = agent_in(plane, "one")
        for number in range(7):
            recorded(plane, agent, f"run {number % 2}", number, "{}")
        whole = plane.page_of_events()
        pages = all_pages(lambda after: plane.page_of_events(limit=3, after=after))
        assert list(whole.items) == [each for page in pages for each in page.items]
        assert [3, 3, 1] == [len(page.items) for page in pages]
        assert 4 == len(plane.page_of_events(EventFilter(run="run 0")).items)

    def test_only_some(self, plane: EmbeddedControlPlane) -> None:
        """Each filter leaves the others out: verdict, rule, tool and tag are looked for inside the events."""
        agent = agent_in(plane, "one")
        for number, text in enumerate(
            (
                '{"data": {"verdict": "BLOCK", "finalRuleId": "r", "tool": {"name": "pay", "categories": ["w"]}}}',
                '{"data": {"verdict": "ALLOW", "tool": {"name": "look"}}}',
                '{"data": {"tool": []}}',
                '{"data": {}}',
            )
        ):
            recorded(plane, agent, "run", number, text)
        recorded(plane, agent, "run", 9, "{}", kind="run.ended")

        def found(**wanted: Any) -> list[str]:
            return [each.ts[17:19] for each in plane.page_of_events(EventFilter(**wanted)).items]

        noon = datetime(2026, 7, 1, 12, 0, 2, tzinfo=timezone.utc)
        assert (["00"], ["01"]) == (found(verdict="BLOCK"), found(verdict="ALLOW"))
        assert (["00"], ["00"], ["01"]) == (found(rule="r"), found(tag="w"), found(tool="look"))
        assert (["09"], ["02", "03", "09"], ["00", "01"]) == (
            found(kind="run.ended"),
            found(since=noon),
            found(until=noon),
        )
        assert [] == found(agent="nobody")

    def test_a_needle(self, plane: EmbeddedControlPlane, monkeypatch: pytest.MonkeyPatch) -> None:
        """A page looks at so many events and no more, and the next one goes on from there."""
        monkeypatch.setattr("handlebar.control.browsing._SCANNED", 3)
        agent = agent_in(plane, "one")
        for number in range(8):
            recorded(plane, agent, "run", number, '{"data": {"verdict": "%s"}}' % ("BLOCK" if number == 6 else "ALLOW"))
        wanted = EventFilter(verdict="BLOCK")
        pages = all_pages(lambda after: plane.page_of_events(wanted, after=after))
        assert [0, 0, 1] == [len(page.items) for page in pages]

    def test_what_comes_later(self, plane: EmbeddedControlPlane) -> None:
        """From the last event on, only those are found that were recorded later."""
        agent = agent_in(plane, "one")
        assert () == plane.page_of_events(after=plane.last_event()).items
        recorded(plane, agent, "run", 1, "{}")
        last = plane.last_event()
        recorded(plane, agent, "run", 2, "{}")
        (only,) = plane.page_of_events(after=last).items
        assert (2, 2) == (int(only.ts[17:19]), plane.number_of_events("run"))


@pytest.mark.sqlite
@pytest.mark.parametrize("wanted", [{}, {"agent": "desk"}, {"actor": "ann"}, {"session": "s"}, {"rule": "r"}])
def test_an_index_gives_the_order(plane: EmbeddedControlPlane, tmp_path: Path, wanted: dict[str, str]) -> None:
    """However many runs there are, no page has to sort them all."""
    from sqlalchemy import event

    from handlebar._plumbing.clock import Deadline
    from handlebar.control import browsing

    statements: list[Any] = []
    with closing(Database(url_of(tmp_path / "plane.db"))) as database, database.read(Deadline.after(5)) as connection:
        event.listen(connection, "before_cursor_execute", lambda *told: statements.append(told[2:4]))
        browsing.page_of_runs(connection, "default", RunFilter(**wanted), limit=10)
        ((statement, values),) = statements[:1]
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
    before_the_page = plan[: plan.index("SCAN page")]
    assert any("INDEX runs_by_" in step or "INDEX run_marks_by_mark" in step for step in before_the_page)
    assert "USE TEMP B-TREE FOR ORDER BY" not in before_the_page
