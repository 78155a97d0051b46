"""What the database remembers of tool calls, for rules that look back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from attrs import frozen
from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    Integer,
    Table,
    bindparam,
    func,
    insert,
    literal,
    select,
)

from handlebar._plumbing import safe_json
from handlebar.control.database import direct
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
    past = direct.rows(connection, _PAST, {"agent_id": caller.agent_id, "run_id": caller.run_id})
    return [PastCall(name, tuple(json.loads(tags))) for name, tags in past]


def count_calls(connection: Connection, caller: Caller, query: CountQuery) -> int:
    """
    Return how many remembered calls *query* asks for.

    Raises:
        UnavailableError: They are counted for an actor, and the run has none.
    """
    scope = _scope(caller, query.scope, query.window_seconds)
    kinds = _padded(_matching_kinds(connection, caller, query))
    if not kinds:
        return 0
    filtered = _quoted(query.run_tags)
    tags = tuple(sorted(filtered))
    windowed, bounded = query.window_seconds is not None, query.enough is not None
    statement = _count_statement(query.scope, windowed, tags, bounded, len(kinds))
    wanted = {f"tag_{place}": filtered[tag] for place, tag in enumerate(tags)}
    wanted_kinds = {f"kind_{place}": kind for place, kind in enumerate(kinds)}
    values = {**scope, **wanted, **wanted_kinds, "enough": query.enough}
    return int(direct.rows(connection, statement, values)[0][0])


def remember_call(connection: Connection, caller: Caller, tool_name: str, tool_tags: Iterable[str]) -> None:
    """Let an allowed call count from now on."""
    row = {
        "agent_id": caller.agent_id,
        "run_id": caller.run_id,
        "actor_id": caller.actor_id,
        "kind_id": _kind_id(connection, caller.agent_id, tool_name, tool_tags),
        "run_tags": _quoted(caller.run_tags),
        "at": caller.at,
    }
    direct.run(connection, _INSERT_CALL, row)


def metric(connection: Connection, caller: Caller, query: MetricQuery, present: float | None) -> float:
    """
    Return the aggregate that *query* asks for, the *present* call's value included.

    Raises:
        UnavailableError: There is no value at all, or it is an actor's, and the run has none.
    """
    scope = _scope(caller, query.scope, query.window_seconds)
    statement = _metric_statement(query.scope, query.window_seconds is not None)
    count, total, largest, smallest = direct.rows(connection, statement, {**scope, "key": query.key})[0]
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
        connection.execute(_INSERT_SAMPLES, rows)


def _scope(caller: Caller, scope: str, window_seconds: float | None) -> dict[str, Any]:
    """Return the values that keep a statement to *scope* and window."""
    if scope == "agent_user" and caller.actor_id is None:
        raise UnavailableError("The run has no actor to count for")
    values: dict[str, Any] = {"agent_id": caller.agent_id, "run_id": caller.run_id, "actor_id": caller.actor_id}
    if window_seconds is not None:
        values["since"] = caller.at - int(window_seconds * _MICROSECONDS)
    return values


# SQLAlchemy takes longer to build a statement than SQLite to answer it: each is built once.

_KINDS = select(call_kinds.c.id, call_kinds.c.tool_name, call_kinds.c.tool_tags).where(
    call_kinds.c.agent_id == bindparam("agent_id")
)
_KIND = select(call_kinds.c.id).where(
    call_kinds.c.agent_id == bindparam("agent_id"),
    call_kinds.c.digest == bindparam("digest"),
)
_PAST = (
    select(call_kinds.c.tool_name, call_kinds.c.tool_tags)
    .join(calls, calls.c.kind_id == call_kinds.c.id)
    .where(calls.c.agent_id == bindparam("agent_id"), calls.c.run_id == bindparam("run_id"))
    .order_by(calls.c.id)
)
_INSERT_CALL = insert(calls)
_INSERT_SAMPLES = insert(metric_samples)
_INSERT_KIND = insert(call_kinds).returning(call_kinds.c.id)


@cache
def _count_statement(scope: str, windowed: bool, tags: tuple[str, ...], bounded: bool, kinds: int) -> Executable:
    """Return what counts calls of some kinds; the cost is bounded by the limit, where there is one."""
    counted = select(literal(1)).where(calls.c.kind_id.in_([bindparam(f"kind_{place}") for place in range(kinds)]))
    # A kind of call is one agent's: without asking for the agent too, an index alone tells the number.
    if scope == "run":
        counted = counted.where(calls.c.agent_id == bindparam("agent_id"))
    counted = counted.where(*_in_scope(calls, scope, windowed=windowed))
    for place, tag in enumerate(tags):
        counted = counted.where(calls.c.run_tags[tag].as_string() == bindparam(f"tag_{place}"))
    if bounded:
        counted = counted.limit(bindparam("enough", type_=Integer))
    return select(func.count()).select_from(counted.subquery())


@cache
def _metric_statement(scope: str, windowed: bool) -> Executable:
    """Return what aggregates the samples of a metric."""
    value = metric_samples.c.value
    aggregates = select(func.count(), func.sum(value), func.max(value), func.min(value))
    wanted = aggregates.where(
        metric_samples.c.agent_id == bindparam("agent_id"), metric_samples.c.key == bindparam("key")
    )
    return wanted.where(*_in_scope(metric_samples, scope, windowed=windowed))


def _in_scope(table: Table, scope: str, *, windowed: bool) -> Iterator[ColumnElement[bool]]:
    if scope == "run":
        yield table.c.run_id == bindparam("run_id")
    if scope == "agent_user":
        yield table.c.actor_id == bindparam("actor_id")
    if windowed:
        yield table.c.at > bindparam("since")


def _quoted(tags: Mapping[str, str]) -> dict[str, str]:
    """Return *tags* in letters that JSON does not escape: SQLite does not find a key that is."""
    return {quote(name, "", errors="surrogatepass"): quote(tags[name], "", errors="surrogatepass") for name in tags}


def _matching_kinds(connection: Connection, caller: Caller, query: CountQuery) -> list[int]:
    """Return the kinds of calls that count; there are few kinds, however many calls there are."""
    kinds = direct.rows(connection, _KINDS, {"agent_id": caller.agent_id})
    return [kind_id for kind_id, name, tags in kinds if query.calls.matches(name, tuple(json.loads(tags)))]


def _padded(kinds: list[int]) -> list[int]:
    """Return the same, the last one several times, so that there are 1, 2, 4, 8 …: each number has its statement."""
    return kinds + kinds[-1:] * ((1 << max(0, len(kinds) - 1).bit_length()) - len(kinds))


def _kind_id(connection: Connection, agent_id: str, tool_name: str, tool_tags: Iterable[str]) -> int:
    tags = safe_json.encode(sorted(set(tool_tags)))
    digest = sha256(safe_json.encode([tool_name, tags]).encode()).hexdigest()
    kind = {"agent_id": agent_id, "digest": digest}
    known = direct.rows(connection, _KIND, kind)
    if known:
        return int(known[0][0])
    return int(connection.execute(_INSERT_KIND, {**kind, "tool_name": tool_name, "tool_tags": tags}).scalar_one())
