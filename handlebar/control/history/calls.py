"""The calls that were allowed, one by one and by the hour."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    Table,
    bindparam,
    func,
    insert,
    literal,
    select,
)

from handlebar._plumbing import safe_json
from handlebar.control.database import direct
from handlebar.control.dialects import insert_or_merge
from handlebar.control.history.callers import Caller, in_hours, in_scope
from handlebar.control.tables import call_hours, call_kinds, calls
from handlebar.policy.facts import CountQuery, PastCall

_KEPT = 1_000
"""So many kinds of calls are remembered as they are told."""


def past_calls(connection: Connection, caller: Caller) -> Sequence[PastCall]:
    """Return the run's allowed calls that were remembered, oldest first."""
    past = direct.rows(connection, _PAST, {"agent_id": caller.agent_id, "run_id": caller.run_id})
    return [PastCall(name, _tags_in(tags)) for name, tags in past]


def count_calls(connection: Connection, caller: Caller, query: CountQuery) -> int:
    """
    Return how many remembered calls *query* asks for.

    Raises:
        UnavailableError: They are counted for an actor, and the run has none.
    """
    values = caller.values(query.scope, query.window_seconds)
    kinds = _padded(_matching_kinds(connection, caller, query))
    if not kinds:
        return 0
    filtered = _quoted(query.run_tags)
    tags = tuple(sorted(filtered))
    windowed, bounded = query.window_seconds is not None, query.enough is not None
    if tags or query.scope == "run":
        statement = _one_by_one(query.scope, windowed, tags, bounded, len(kinds))
    else:
        statement = _by_the_hour(query.scope, windowed, bounded, len(kinds))
    values |= {f"tag_{place}": filtered[tag] for place, tag in enumerate(tags)}
    values |= {f"kind_{place}": kind for place, kind in enumerate(kinds)}
    return int(direct.rows(connection, statement, {**values, "enough": query.enough})[0][0])


def remember_call(connection: Connection, caller: Caller, tool_name: str, tool_tags: Iterable[str]) -> None:
    """Let an allowed call count from now on."""
    kind = _kind_id(connection, caller.agent_id, tool_name, tool_tags)
    row = {
        "agent_id": caller.agent_id,
        "run_id": caller.run_id,
        "actor_id": caller.actor_id,
        "kind_id": kind,
        "run_tags": _quoted(caller.run_tags),
        "at": caller.at,
    }
    direct.run(connection, _INSERT_CALL, row)
    tallied = [{"kind_id": kind, "whose": whose, "hour": caller.hour, "calls": 1} for whose in caller.tallies]
    direct.run_many(connection, insert_or_merge(connection.dialect.name, call_hours, ("calls",)), tallied)


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
_INSERT_KIND = insert(call_kinds).returning(call_kinds.c.id)


@cache
def _by_the_hour(scope: str, windowed: bool, bounded: bool, kinds: int) -> Select[Any]:
    """Return what counts calls of some kinds by the hour, and only those before the window's first full hour singly."""
    hours = select(func.coalesce(func.sum(call_hours.c.calls), 0)).where(_of_kinds(call_hours, kinds))
    hours = hours.where(*in_hours(call_hours, windowed=windowed))
    if not windowed:
        return hours
    single = _one_by_one(scope, True, (), bounded, kinds, to_the_hour=True)
    return select(hours.scalar_subquery() + single.scalar_subquery())


@cache
def _one_by_one(
    scope: str, windowed: bool, tags: tuple[str, ...], bounded: bool, kinds: int, to_the_hour: bool = False
) -> Select[Any]:
    """Return what counts calls of some kinds; the cost is bounded by the limit, where there is one."""
    counted = select(literal(1)).where(_of_kinds(calls, kinds))
    # A kind of call is one agent's: without asking for the agent too, an index alone tells the number.
    if scope == "run":
        counted = counted.where(calls.c.agent_id == bindparam("agent_id"))
    counted = counted.where(*in_scope(calls, scope, windowed=windowed, to_the_hour=to_the_hour))
    for place, tag in enumerate(tags):
        counted = counted.where(calls.c.run_tags[tag].as_string() == bindparam(f"tag_{place}"))
    if bounded:
        counted = counted.limit(bindparam("enough", type_=Integer))
    return select(func.count()).select_from(counted.subquery())


def _of_kinds(table: Table, kinds: int) -> ColumnElement[bool]:
    return table.c.kind_id.in_([bindparam(f"kind_{place}") for place in range(kinds)])


def _quoted(tags: Mapping[str, str]) -> dict[str, str]:
    """Return *tags* in letters that JSON does not escape: SQLite does not find a key that is."""
    return {quote(name, "", errors="surrogatepass"): quote(tags[name], "", errors="surrogatepass") for name in tags}


def _matching_kinds(connection: Connection, caller: Caller, query: CountQuery) -> list[int]:
    """Return the kinds of calls that count; there are few kinds, however many calls there are."""
    kinds = direct.rows(connection, _KINDS, {"agent_id": caller.agent_id})
    return [kind_id for kind_id, name, tags in kinds if query.calls.matches(name, _tags_in(tags))]


def _padded(kinds: list[int]) -> list[int]:
    """Return the same, the last one several times, so that there are 1, 2, 4, 8 …: each number has its statement."""
    return kinds + kinds[-1:] * ((1 << max(0, len(kinds) - 1).bit_length()) - len(kinds))


def _kind_id(connection: Connection, agent_id: str, tool_name: str, tool_tags: Iterable[str]) -> int:
    tags, digest = _told_of_kind(tool_name, frozenset(tool_tags))
    kind = {"agent_id": agent_id, "digest": digest}
    known = direct.rows(connection, _KIND, kind)
    if known:
        return int(known[0][0])
    return int(connection.execute(_INSERT_KIND, {**kind, "tool_name": tool_name, "tool_tags": tags}).scalar_one())


# An agent makes the same few kinds of calls all the time.


@lru_cache(_KEPT)
def _told_of_kind(tool_name: str, tool_tags: frozenset[str]) -> tuple[str, str]:
    """Return the tags as they are kept, and what tells a kind of call from others."""
    tags = safe_json.encode(sorted(tool_tags))
    return tags, sha256(safe_json.encode([tool_name, tags]).encode()).hexdigest()


@lru_cache(_KEPT)
def _tags_in(kept: str) -> tuple[str, ...]:
    return tuple(json.loads(kept))
