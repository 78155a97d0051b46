"""How much agents have done, hour by hour: counted as events are stored, so that nobody has to read them all again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import fields, frozen
from sqlalchemy import ColumnElement, Connection, Select, func, select

from handlebar._plumbing.clock import time_ns
from handlebar.control.agents import of_tenant
from handlebar.control.costs import cost_usd
from handlebar.control.database import direct
from handlebar.control.dialects import insert_or_merge, unindexed
from handlebar.control.tables import usage_hours, usage_of_actors
from handlebar.core.plane import EncodedEvent
from handlebar.core.schema.metrics import InbuiltAgentMetricKind as Kind

_HOUR_NS = 3600 * 10**9
_MOST_TOKENS = 10**9
_FEW = 1_000
_COUNTED = frozenset({"run.started", "tool.decision", "llm.result", "error"})


@frozen
class Usage:
    """
    What was done.

    Attributes:
        waiting: Calls that a person was asked about; they are not among the blocked ones.

        cost_usd: Of the models whose price is known, in US dollars.

        events_lost: As clients say that lost them.
    """

    runs: int = 0
    allowed: int = 0
    blocked: int = 0
    waiting: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float = 0.0
    events_lost: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(*(getattr(self, name) + getattr(other, name) for name in _NAMES))


_NAMES = tuple(each.name for each in fields(Usage))
_NOTHING = dict.fromkeys(_NAMES, 0)


@frozen
class UsageOf:
    """What was done in an hour, by an agent, or for an actor."""

    whose: str
    usage: Usage


def count(connection: Connection, agent_id: str, batch: Iterable[EncodedEvent]) -> None:
    """Add the events of a *batch*, which is stored in the same transaction, to what the agent has done this hour."""
    total: dict[str, float] = dict(_NOTHING)
    by_actor: dict[str, dict[str, float]] = {}
    for event in batch:
        if event.kind in _COUNTED:
            told = event.read()
            actor = by_actor.setdefault(_text(told.get("actorExternalId")), dict(_NOTHING))
            for name, more in _counts(event.kind, _part(told, "data")).items():
                actor[name] += more
                total[name] += more
    if by_actor:
        now = {"agent_id": agent_id, "hour": this_hour()}
        of_actors = [{**now, "actor_id": actor, **counts} for actor, counts in by_actor.items()]
        dialect = connection.dialect.name
        direct.run_many(connection, insert_or_merge(dialect, usage_of_actors, _NAMES), of_actors)
        direct.run(connection, insert_or_merge(dialect, usage_hours, _NAMES), {**now, **total})


def by_hour(connection: Connection, tenant: str, *, since_hour: int) -> list[UsageOf]:
    """Return what the tenant's agents did in each hour since 1970 from *since_hour* on, oldest first."""
    return _summed(connection, tenant, usage_hours.c.hour, since_hour)


def by_agent(connection: Connection, tenant: str, *, since_hour: int) -> list[UsageOf]:
    """Return what each of the tenant's agents did, by its id."""
    return _summed(connection, tenant, usage_hours.c.agent_id, since_hour)


def by_actor(connection: Connection, tenant: str, *, since_hour: int, limit: int = 10) -> list[UsageOf]:
    """Return what was done for the busiest actors; an empty one stands for none."""
    of = usage_of_actors.c
    lately = (_whose(connection, tenant, of.agent_id), of.hour >= since_hour)
    decided = func.sum(of.allowed + of.blocked)
    # Through the index of the actors, all that they ever did would be read.
    whose = unindexed(of.actor_id)
    ranked = select(whose).where(*lately).group_by(whose).order_by(decided.desc(), whose).limit(limit)
    busiest = list(connection.execute(ranked).scalars())
    query = (
        select(of.actor_id.label("whose"), *_sums(of)).where(*lately, of.actor_id.in_(busiest)).group_by(of.actor_id)
    )
    found = _read(connection, query)
    return sorted(found, key=lambda each: busiest.index(each.whose))


def this_hour() -> int:
    """Return the hour that it is, counted from 1970."""
    return time_ns() // _HOUR_NS


def _counts(kind: str, data: Mapping[str, Any]) -> dict[str, float]:
    if kind == "run.started":
        return {"runs": 1}
    if kind == "tool.decision":
        return {_decided(data): 1}
    if kind == "error":
        return {"events_lost": _lost(data)}
    tokens, model = _part(data, "tokens"), _part(data, "model")
    read, written = _count_in(tokens, "in"), _count_in(tokens, "out")
    counts = {Kind.LLM_TOKENS_IN.value: read, Kind.LLM_TOKENS_OUT.value: written}
    cost = cost_usd(model, counts) if _text(model.get("name")) else None
    return {"tokens_in": read, "tokens_out": written, "cost_usd": cost or 0.0}


def _decided(data: Mapping[str, Any]) -> str:
    if data.get("verdict") == "ALLOW":
        return "allowed"
    return "waiting" if _part(data, "cause").get("kind") == "HITL_PENDING" else "blocked"


def _lost(data: Mapping[str, Any]) -> int:
    """Return how many events a client says that it lost; its sinks tell so, by reason."""
    if data.get("scope") != "transport":
        return 0
    numbers = [str(value) for value in _part(data, "details").values()]
    return sum(int(number) for number in numbers if number.isdecimal() and len(number) < 10)


def _part(told: Any, name: str) -> Mapping[str, Any]:
    """Return a part of an event; agents may have written anything in its place."""
    part = told.get(name) if isinstance(told, dict) else None
    return part if isinstance(part, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _count_in(tokens: Mapping[str, Any], name: str) -> int:
    value = tokens.get(name)
    return value if isinstance(value, int) and 0 <= value <= _MOST_TOKENS else 0


def _summed(connection: Connection, tenant: str, key: Any, since_hour: int) -> list[UsageOf]:
    mine = _whose(connection, tenant, usage_hours.c.agent_id)
    query = select(key.label("whose"), *_sums(usage_hours.c)).where(mine, usage_hours.c.hour >= since_hour)
    return _read(connection, query.group_by(key).order_by(key))


def _whose(connection: Connection, tenant: str, column: ColumnElement[str]) -> ColumnElement[bool]:
    """
    Return the test that keeps to a tenant's agents.

    They are named where they are few: of a table as small as theirs PostgreSQL keeps no statistics, so that it would
    take them for two, and plan to read this table in a way that is slow for more.
    """
    named = connection.execute(of_tenant(tenant).limit(_FEW + 1)).scalars().all()
    return column.in_(named if len(named) <= _FEW else of_tenant(tenant))


def _sums(columns: Any) -> list[Any]:
    return [func.sum(columns[name]).label(name) for name in _NAMES]


def _read(connection: Connection, query: Select[Any]) -> list[UsageOf]:
    return [UsageOf(str(row[0]), Usage(*row[1:])) for row in connection.execute(query)]
