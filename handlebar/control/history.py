"""What the database remembers of tool calls, for rules that look back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import frozen
from sqlalchemy import ColumnElement, Connection, Select, Table, func, insert, select

from handlebar._plumbing import safe_json
from handlebar.control.tables import call_kinds, calls, metric_samples
from handlebar.policy.facts import CountQuery, MetricQuery, PastCall, UnavailableError

_MICROSECONDS = 1_000_000


@frozen(kw_only=True)
class Caller:
    """
    Who calls, and when: what limits are counted by.

    Attributes:
        at: The time, microseconds since 1970.
    """

    agent_id: str
    run_id: str
    actor_id: str | None
    run_tags: Mapping[str, str]
    at: int


def past_calls(connection: Connection, caller: Caller) -> Sequence[PastCall]:
    """Return the run's allowed calls that were remembered, oldest first."""
    query = (
        select(call_kinds.c.tool_name, call_kinds.c.tool_tags)
        .join(calls, calls.c.kind_id == call_kinds.c.id)
        .where(calls.c.agent_id == caller.agent_id, calls.c.run_id == caller.run_id)
        .order_by(calls.c.id)
    )
    return [PastCall(name, tuple(json.loads(tags))) for name, tags in connection.execute(query)]


def count_calls(connection: Connection, caller: Caller, query: CountQuery) -> int:
    """Return how many remembered calls *query* asks for."""
    kinds = _matching_kinds(connection, caller, query)
    if not kinds:
        return 0
    counted = select(func.count()).select_from(calls).where(calls.c.kind_id.in_(kinds))
    counted = counted.where(*_in_scope(calls, caller, query.scope, query.window_seconds))
    for tag, value in query.run_tags.items():
        counted = counted.where(calls.c.run_tags[tag].as_string() == value)
    number: int = connection.execute(counted).scalar_one()
    return number


def remember_call(connection: Connection, caller: Caller, tool_name: str, tool_tags: Iterable[str]) -> None:
    """Let an allowed call count from now on."""
    row = {
        "agent_id": caller.agent_id,
        "run_id": caller.run_id,
        "actor_id": caller.actor_id,
        "kind_id": _kind_id(connection, caller.agent_id, tool_name, tool_tags),
        "run_tags": dict(caller.run_tags),
        "at": caller.at,
    }
    connection.execute(insert(calls).values(row))


def metric(connection: Connection, caller: Caller, query: MetricQuery, present: float | None) -> float:
    """
    Return the aggregate that *query* asks for, the *present* call's value included.

    Raises:
        UnavailableError: There is no value at all.
    """
    value = metric_samples.c.value
    sums = select(func.count(), func.sum(value), func.max(value), func.min(value))
    sums = sums.where(metric_samples.c.key == query.key)
    sums = sums.where(*_in_scope(metric_samples, caller, query.scope, query.window_seconds))
    count, total, largest, smallest = connection.execute(sums).one()
    if present is not None:
        count, total = count + 1, (total or 0.0) + present
        largest = present if largest is None else max(largest, present)
        smallest = present if smallest is None else min(smallest, present)
    if query.aggregate == "count":
        return float(count)
    if not count:
        raise UnavailableError(f"There is no value of the metric {query.key!r} yet")
    return float({"sum": total, "avg": total / count, "max": largest, "min": smallest}[query.aggregate])


def remember_metrics(connection: Connection, caller: Caller, metrics: Mapping[str, float]) -> None:
    """Let the numbers reported with a call count from now on."""
    who = {"agent_id": caller.agent_id, "run_id": caller.run_id, "actor_id": caller.actor_id, "at": caller.at}
    rows = [{**who, "key": key, "value": value} for key, value in metrics.items()]
    if rows:
        connection.execute(insert(metric_samples), rows)


def _in_scope(table: Table, caller: Caller, scope: str, window_seconds: float | None) -> list[ColumnElement[bool]]:
    """
    Return the conditions that keep to *scope* and window.

    Raises:
        UnavailableError: The scope is the actor's, and the run has none.
    """
    wanted = [table.c.agent_id == caller.agent_id]
    if scope == "run":
        wanted.append(table.c.run_id == caller.run_id)
    if scope == "agent_user":
        if caller.actor_id is None:
            raise UnavailableError("The run has no actor to count for")
        wanted.append(table.c.actor_id == caller.actor_id)
    if window_seconds is not None:
        wanted.append(table.c.at > caller.at - int(window_seconds * _MICROSECONDS))
    return wanted


def _matching_kinds(connection: Connection, caller: Caller, query: CountQuery) -> list[int]:
    """Return the kinds of calls that count; there are few kinds, however many calls there are."""
    kinds = connection.execute(_kinds_of(caller.agent_id))
    return [kind.id for kind in kinds if query.calls.matches(kind.tool_name, tuple(json.loads(kind.tool_tags)))]


def _kinds_of(agent_id: str) -> Select[Any]:
    return select(call_kinds.c.id, call_kinds.c.tool_name, call_kinds.c.tool_tags).where(
        call_kinds.c.agent_id == agent_id
    )


def _kind_id(connection: Connection, agent_id: str, tool_name: str, tool_tags: Iterable[str]) -> int:
    tags = safe_json.encode(sorted(set(tool_tags)))
    known = _kinds_of(agent_id).where(call_kinds.c.tool_name == tool_name, call_kinds.c.tool_tags == tags)
    number: int | None = connection.execute(known).scalar()
    if number is None:
        kind = {"agent_id": agent_id, "tool_name": tool_name, "tool_tags": tags}
        number = connection.execute(insert(call_kinds).values(kind).returning(call_kinds.c.id)).scalar_one()
    return number
