"""Runs as the database keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attrs import asdict, frozen
from sqlalchemy import ColumnElement, Connection, Row, and_, or_, select, update

from handlebar._plumbing.clock import time_ns
from handlebar.control.agents import of_tenant
from handlebar.control.dialects import insert_or
from handlebar.control.moments import moment
from handlebar.control.tables import runs
from handlebar.core.plane import RunEndStatus, StartRequest

_LONGEST = 1000 * 365 * 86_400 * 1_000_000
"""Microseconds of a time to live that no column's end is near to: a thousand years."""


@frozen(kw_only=True)
class RunView:
    """
    A run, as it is shown to people.

    Attributes:
        status: How it ended: `success`, `error`, `interrupted` or `timeout`; `active` until then.
    """

    agent_id: str
    run_id: str
    session_id: str | None
    actor_id: str | None
    status: str
    started_at: datetime
    ended_at: datetime | None


def start(connection: Connection, request: StartRequest) -> None:
    """Note that a run has started; a second time only its time to live begins anew, or is no more."""
    actor, now = request.actor, time_ns() // 1000
    row = insert_or(connection.dialect.name, runs).values(
        agent_id=request.agent_id,
        id=request.run_id,
        session_id=request.session_id,
        actor_id=actor.external_id if actor else None,
        actor=asdict(actor) if actor else None,
        model=asdict(request.model) if request.model else None,
        started_at=now,
        due_at=None if request.run_ttl_ms is None else now + int(min(request.run_ttl_ms * 1000, _LONGEST)),
    )
    keys = [runs.c.agent_id, runs.c.id]
    connection.execute(row.on_conflict_do_update(index_elements=keys, set_={"due_at": row.excluded.due_at}))


def end(connection: Connection, agent_id: str, run_id: str, status: RunEndStatus) -> None:
    """Note that a run has ended; the first status stays."""
    this = (runs.c.agent_id == agent_id, runs.c.id == run_id, runs.c.status.is_(None))
    connection.execute(update(runs).where(*this).values(status=status, ended_at=time_ns() // 1000))


def model_of(connection: Connection, agent_id: str, run_id: str) -> Mapping[str, Any] | None:
    """Return name and provider of the language model that a run uses, if that was said when it started."""
    query = select(runs.c.model).where(runs.c.agent_id == agent_id, runs.c.id == run_id)
    model: Mapping[str, Any] | None = connection.execute(query).scalar()
    return model


def has_status(status: str) -> ColumnElement[bool]:
    """Return the test that a run stands so, at present; *status* is one of those of a `RunView`."""
    now, is_untold = time_ns() // 1000, runs.c.status.is_(None)
    if status == "active":
        return and_(is_untold, or_(runs.c.due_at.is_(None), runs.c.due_at > now))
    told = runs.c.status == status
    return or_(told, and_(is_untold, runs.c.due_at <= now)) if status == "timeout" else told


def latest(connection: Connection, tenant: str, limit: int) -> list[RunView]:
    """Return the tenant's latest runs, newest first."""
    query = select(runs).where(runs.c.agent_id.in_(of_tenant(tenant))).order_by(runs.c.started_at.desc()).limit(limit)
    return [view(row) for row in connection.execute(query)]


def of_id(connection: Connection, tenant: str, run_id: str) -> list[RunView]:
    """Return the tenant's runs of that id; agents that chose the same id have one each."""
    query = select(runs).where(runs.c.agent_id.in_(of_tenant(tenant)), runs.c.id == run_id)
    return [view(row) for row in connection.execute(query.order_by(runs.c.started_at))]


def view(row: Row[Any]) -> RunView:
    """Return a row as it is shown to people; a run whose time is over has ended, whoever was there to say so or not."""
    is_over = row.status is None and row.due_at is not None and row.due_at <= time_ns() // 1000
    ended_at = row.due_at if is_over else row.ended_at
    return RunView(
        agent_id=row.agent_id,
        run_id=row.id,
        session_id=row.session_id,
        actor_id=row.actor_id,
        status="timeout" if is_over else row.status or "active",
        started_at=moment(row.started_at),
        ended_at=None if ended_at is None else moment(ended_at),
    )
