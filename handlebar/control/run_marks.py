"""What runs are found by beside what they say of themselves: the decisions, rules and tags that came up in them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Connection, select

from handlebar._plumbing.clock import time_ns
from handlebar.control.dialects import insert_or
from handlebar.control.tables import run_marks, runs
from handlebar.core.plane import EncodedEvent

_LONGEST = 200
_MOST = 20
"""So many rules or tags of one event count: an agent may have written any number."""


def mark(kind: str, value: str) -> str:
    """Return what a run is marked with where *value* came up in it as its `verdict`, `rule`, `tag` or `shadow`."""
    return f"{kind}:{value}"[:_LONGEST]


def note(connection: Connection, agent_id: str, batch: Iterable[EncodedEvent]) -> None:
    """Mark the runs of a *batch*, which is stored in the same transaction, with what was decided in them."""
    marked = {(event.run_id, each) for event in batch if event.kind == "tool.decision" for each in _marks(event.text)}
    if not marked:
        return
    names = {run_id for run_id, _ in marked}
    known = select(runs.c.id, runs.c.started_at).where(runs.c.agent_id == agent_id, runs.c.id.in_(names))
    started = {row.id: row.started_at for row in connection.execute(known)}
    now = time_ns() // 1000
    rows = [
        {"agent_id": agent_id, "run_id": run_id, "mark": each, "started_at": started.get(run_id, now)}
        for run_id, each in sorted(marked)
    ]
    connection.execute(insert_or(connection, run_marks).on_conflict_do_nothing(), rows)


def _marks(text: str) -> Iterator[str]:
    told = json.loads(text)
    data = _object(told.get("data")) if isinstance(told, dict) else {}
    for kind, values in (
        ("verdict", [data.get("verdict")]),
        ("rule", [data.get("finalRuleId")]),
        ("tag", _list(_object(data.get("tool")).get("categories"))),
        ("shadow", [_object(each).get("ruleId") for each in _list(data.get("shadow"))]),
    ):
        yield from (mark(kind, value) for value in values[:_MOST] if isinstance(value, str) and value)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
