"""What runs are found by beside what they say of themselves: the decisions, rules and tags that came up in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from sqlalchemy import Connection, Executable, bindparam, select

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
    marked = {(event.run_id, each) for event in batch if event.kind == "tool.decision" for each in _marks(event.read())}
    if not marked:
        return
    names = {run_id for run_id, _ in marked}
    known = connection.execute(_STARTED, {"agent_id": agent_id, "names": list(names)})
    started = {row.id: row.started_at for row in known}
    now = time_ns() // 1000
    rows = [
        {"agent_id": agent_id, "run_id": run_id, "mark": each, "started_at": started.get(run_id, now)}
        for run_id, each in sorted(marked)
    ]
    connection.execute(_marking(connection.dialect.name), rows)


_STARTED = select(runs.c.id, runs.c.started_at).where(
    runs.c.agent_id == bindparam("agent_id"), runs.c.id.in_(bindparam("names", expanding=True))
)


@cache
def _marking(dialect: str) -> Executable:
    """Return what marks runs; a second time changes nothing."""
    marking: Executable = insert_or(dialect, run_marks).on_conflict_do_nothing()
    return marking


def _marks(told: Mapping[str, Any]) -> Iterator[str]:
    data = _object(told.get("data"))
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
