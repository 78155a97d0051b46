"""The tables of what would take too long to look up in the audit trail."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Float, Index, Integer, Table

from handlebar.control.tables.columns import Name, Number, Text, metadata

run_marks = Table(
    "run_marks",
    metadata,
    Column("agent_id", Text, primary_key=True),
    Column("run_id", Name, primary_key=True),
    Column("mark", Text, primary_key=True, comment="what has come up in the run, e.g. verdict:BLOCK"),
    Column("started_at", BigInteger, nullable=False, comment="when the run has started"),
    # All that is asked for: a page of a common mark is found without looking at any run.
    Index("run_marks_by_mark", "mark", "started_at", "agent_id", "run_id"),
)

_WHOSE = "empty for everybody's, else a colon and the actor"

call_hours = Table(
    "call_hours",
    metadata,
    Column("kind_id", Number, primary_key=True, autoincrement=False),
    Column("whose", Name, primary_key=True, comment=_WHOSE),
    Column("hour", Integer, primary_key=True, comment="hours since 1970"),
    Column("calls", Integer, nullable=False),
    sqlite_with_rowid=False,
)

metric_hours = Table(
    "metric_hours",
    metadata,
    Column("agent_id", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("whose", Name, primary_key=True, comment=_WHOSE),
    Column("hour", Integer, primary_key=True, comment="hours since 1970"),
    Column("samples", Integer, nullable=False),
    Column("total", Float, nullable=False),
    Column("largest", Float, nullable=False),
    Column("smallest", Float, nullable=False),
    sqlite_with_rowid=False,
)


def _counts() -> list[Column[Any]]:
    return [
        Column("runs", Integer, nullable=False),
        Column("allowed", Integer, nullable=False),
        Column("blocked", Integer, nullable=False),
        Column("waiting", Integer, nullable=False, comment="calls that a person was asked about"),
        Column("tokens_in", BigInteger, nullable=False),
        Column("tokens_out", BigInteger, nullable=False),
        Column("cost_usd", Float, nullable=False, comment="of the models whose price is known"),
        Column("events_lost", BigInteger, nullable=False, comment="as clients say that lost them"),
    ]


usage_hours = Table(
    "usage_hours",
    metadata,
    Column("agent_id", Text, primary_key=True),
    Column("hour", Integer, primary_key=True, comment="hours since 1970"),
    *_counts(),
)

usage_of_actors = Table(
    "usage_of_actors",
    metadata,
    Column("actor_id", Text, primary_key=True, comment="empty for none"),
    Column("agent_id", Text, primary_key=True),
    Column("hour", Integer, primary_key=True, comment="hours since 1970"),
    *_counts(),
    # All that tells who was the busiest.
    Index("usage_of_actors_by_agent", "agent_id", "hour", "actor_id", "allowed", "blocked"),
)
