"""The numbers that were reported with calls, one by one and by the hour."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Executable, Select, Table, bindparam, func, insert, select

from handlebar.control.database import direct
from handlebar.control.dialects import insert_or_merge
from handlebar.control.history.callers import Caller, in_hours, in_scope
from handlebar.control.tables import metric_hours, metric_samples
from handlebar.policy.facts import MetricQuery, UnavailableError


def metric(connection: Connection, caller: Caller, query: MetricQuery, present: float | None) -> float:
    """
    Return the aggregate that *query* asks for, the *present* call's value included.

    Raises:
        UnavailableError: There is no value at all, or it is an actor's, and the run has none.
    """
    values = {**caller.values(query.scope, query.window_seconds), "key": query.key}
    statement = _statement(query.scope, query.window_seconds is not None)
    count, total, largest, smallest = direct.rows(connection, statement, values)[0]
    count, total = int(count or 0), float(total or 0.0)
    if present is not None:
        count, total = count + 1, total + present
        largest = present if largest is None else max(largest, present)
        smallest = present if smallest is None else min(smallest, present)
    if query.aggregate == "count":
        return float(count)
    if not count:
        raise UnavailableError(f"There is no value of the metric {query.key!r} yet")
    return float({"sum": total, "avg": total / count, "max": largest, "min": smallest}[query.aggregate])


def remember_metrics(connection: Connection, caller: Caller, metrics: Mapping[str, float]) -> None:
    """Let the numbers reported with a call count from now on."""
    if not metrics:
        return
    who = {"agent_id": caller.agent_id, "run_id": caller.run_id, "actor_id": caller.actor_id, "at": caller.at}
    direct.run_many(connection, _INSERT, [{**who, "key": key, "value": value} for key, value in metrics.items()])
    tallied = [
        {
            "agent_id": caller.agent_id,
            "key": key,
            "whose": whose,
            "hour": caller.hour,
            "samples": 1,
            "total": value,
            "largest": value,
            "smallest": value,
        }
        for key, value in metrics.items()
        for whose in caller.tallies
    ]
    merging = insert_or_merge(
        connection.dialect.name, metric_hours, ("samples", "total"), most=("largest",), least=("smallest",)
    )
    direct.run_many(connection, merging, tallied)


_INSERT = insert(metric_samples)


@cache
def _statement(scope: str, windowed: bool) -> Executable:
    """Return what aggregates a metric: a run's values one by one, all others by the hour, as far as hours are full."""
    if scope == "run":
        return _one_by_one(scope, windowed=windowed, to_the_hour=False)
    hours = metric_hours.c
    summed = select(func.sum(hours.samples), func.sum(hours.total), func.max(hours.largest), func.min(hours.smallest))
    summed = summed.where(*_of_metric(metric_hours), *in_hours(metric_hours, windowed=windowed))
    if not windowed:
        return summed
    both = _one_by_one(scope, windowed=True, to_the_hour=True).union_all(summed).subquery()
    count, total, largest, smallest = both.c
    return select(func.sum(count), func.sum(total), func.max(largest), func.min(smallest))


def _one_by_one(scope: str, *, windowed: bool, to_the_hour: bool) -> Select[Any]:
    value = metric_samples.c.value
    aggregates: list[Any] = [func.count(), func.sum(value), func.max(value), func.min(value)]
    wanted = select(*aggregates).where(*_of_metric(metric_samples))
    return wanted.where(*in_scope(metric_samples, scope, windowed=windowed, to_the_hour=to_the_hour))


def _of_metric(table: Table) -> Iterator[ColumnElement[bool]]:
    yield table.c.agent_id == bindparam("agent_id")
    yield table.c.key == bindparam("key")
