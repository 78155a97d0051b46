"""What is remembered of calls is looked up without reading all of it, however much that is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import Connection

from handlebar._plumbing.clock import Deadline
from handlebar.control import history
from handlebar.control.database import Database
from handlebar.control.history import Caller
from handlebar.core.schema.rules import ToolSelector
from handlebar.policy.facts import CountQuery, MetricQuery
from handlebar.policy.selecting import ToolMatch
from tests.support.control import PATIENT, url_of
from tests.support.sqlite_steps import Steps, counted

HOUR = 3_600_000_000
HOURS, AN_HOUR = 200, 20
NOW = 500_000 * HOUR + HOUR // 2
DAY, LONG = 24 * 3600.0, 100 * 3600.0
SCOPES = [("run", None), ("run", DAY), ("agent", 3600.0), ("agent", DAY), ("agent", LONG), ("agent_user", DAY)]
REFUNDS = ToolMatch(ToolSelector(by="toolName", patterns=("refund",)))


def calling(at: int = NOW, *, run: str = "the run", actor: str | None = "ann") -> Caller:
    """Return somebody who calls."""
    return Caller(agent_id="desk", run_id=run, actor_id=actor, run_tags={"team": "red"}, at=at)


def remember(connection: Connection, caller: Caller, cost: float = 2.0) -> None:
    """Let a refund of that cost count."""
    history.remember_call(connection, caller, "refund", ())
    history.remember_metrics(connection, caller, {"cost": cost})


@pytest.fixture(name="database")
def _database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database(url_of(tmp_path / "plane.db"))) as database:
        yield database


@pytest.fixture(scope="module", name="long_past")
def _long_past(tmp_path_factory: pytest.TempPathFactory, database_kind: str) -> Iterator[tuple[Database, Steps]]:
    """Open a database that remembers 4,000 calls in 1,000 runs for fifty actors, and three of the run at hand."""
    file = tmp_path_factory.mktemp(f"past-{database_kind}") / "plane.db"
    with counted() as steps, closing(Database(url_of(file))) as database:
        _fill(database)
        yield database, steps


def _fill(database: Database) -> None:
    with database.write(Deadline.after(PATIENT)) as connection:
        for number in range(HOURS * AN_HOUR):
            at = NOW - number * HOUR // AN_HOUR
            remember(connection, calling(at, run=f"run-{number // 4}", actor=f"actor-{number % 50}"))
        for _ in range(3):
            remember(connection, calling())


def looked_up(long_past: tuple[Database, Steps], look: Callable[[Connection], float]) -> tuple[float, int]:
    """Return what *look* finds, and how many steps it takes."""
    database, steps = long_past
    found: list[float] = []
    with database.read(Deadline.after(PATIENT)) as connection:
        taken = steps.of(lambda: found.append(look(connection)))
    return found[0], taken


def number_in(scope: str, window: float | None) -> int:
    """Return how many calls there are in a window; the run at hand has made three of them, for an actor of its own."""
    others = HOURS if window is None else int(window // 3600)
    return 3 + (others * AN_HOUR if scope == "agent" else 0)


@pytest.mark.parametrize(("scope", "window"), [*SCOPES, ("agent", None), ("agent_user", None)])
def test_calls_are_not_read_one_by_one(long_past: tuple[Database, Steps], scope: str, window: float | None) -> None:
    """A count takes half as many steps as there are calls, for every scope and window, and it is right."""
    query = CountQuery(scope=scope, calls=REFUNDS, window_seconds=window)
    found, steps = looked_up(long_past, lambda each: history.count_calls(each, calling(), query))
    assert number_in(scope, window) == found
    assert steps < HOURS * AN_HOUR / 2


@pytest.mark.parametrize(("scope", "window"), SCOPES)
def test_numbers_are_not_read_one_by_one(long_past: tuple[Database, Steps], scope: str, window: float | None) -> None:
    """A sum takes half as many steps as there are numbers, for every scope and window, and it is right."""
    query = MetricQuery(scope=scope, key="cost", aggregate="sum", window_seconds=window)
    found, steps = looked_up(long_past, lambda each: history.metric(each, calling(), query, None))
    assert 2.0 * number_in(scope, window) == found
    assert steps < HOURS * AN_HOUR / 2


AGGREGATES = {"sum": sum, "max": max, "min": min, "count": len, "avg": lambda costs: sum(costs) / len(costs)}


@pytest.mark.parametrize("aggregate", AGGREGATES)
def test_hours_and_what_lies_before_them_make_one_number(database: Database, aggregate: str) -> None:
    """Every aggregate takes in what was reported in full hours, before the first of them, and with the call itself."""
    costs = [9.0, 1.0, 4.0, 7.0, 3.0]
    with database.write(Deadline.after(PATIENT)) as connection:
        for number, cost in enumerate(costs):
            remember(connection, calling(NOW - number * HOUR // 2), cost)
        query = MetricQuery(scope="agent", key="cost", aggregate=aggregate, window_seconds=2 * 3600.0)
        found = history.metric(connection, calling(), query, 0.5)
    assert AGGREGATES[aggregate]([*costs[:4], 0.5]) == found


@pytest.mark.parametrize("actor", ["", ":", "ann", None])
def test_whoever_an_actor_is_called(database: Database, actor: str | None) -> None:
    """An actor without a name, or with one like our own marks, has an own count, apart from everybody's."""
    others = [name for name in ("", ":", "ann", None) if name != actor]
    with database.write(Deadline.after(PATIENT)) as connection:
        for name in others:
            remember(connection, calling(actor=name))
        remember(connection, calling(actor=actor))
        everybody = CountQuery(scope="agent", calls=REFUNDS)
        assert 4 == history.count_calls(connection, calling(actor=actor), everybody)
        if actor is not None:
            own = CountQuery(scope="agent_user", calls=REFUNDS)
            assert 1 == history.count_calls(connection, calling(actor=actor), own)


def test_a_call_is_in_the_window_or_out_of_it(database: Database) -> None:
    """At each boundary, of the window and of the hour, a call counts until the window's length has passed."""
    hour = NOW - HOUR // 2
    times = sorted({hour + change for change in (-HOUR - 1, -HOUR, -HOUR + 1, -1, 0, 1)})
    with database.write(Deadline.after(PATIENT)) as connection:
        for at in times:
            remember(connection, calling(at))
        query = CountQuery(scope="agent", calls=REFUNDS, window_seconds=3600.0)
        counts = [history.count_calls(connection, calling(at + HOUR), query) for at in times]
    assert [len(times) - number - 1 for number in range(len(times))] == counts
    assert all(before > after for before, after in pairwise(counts))
