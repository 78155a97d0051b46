"""Runs as the database keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attrs import asdict, frozen
from sqlalchemy import Connection, Row, select, update

from handlebar._plumbing.clock import time_ns
from handlebar.control.agents import of_tenant
from handlebar.control.dialects import insert_or
from handlebar.control.moments import moment
from handlebar.control.tables import runs
from handlebar.core.plane import RunEndStatus, StartRequest


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
    """Note that a run has started; a second time changes nothing."""
    actor = request.actor
    row = insert_or(connection.dialect.name, runs).values(
        agent_id=request.agent_id,
        id=request.run_id,
        session_id=request.session_id,
        actor_id=actor.external_id if actor else None,
        actor=asdict(actor) if actor else None,
        model=asdict(request.model) if request.model else None,
        started_at=time_ns() // 1000,
    )
    connection.execute(row.on_conflict_do_nothing())


def end(connection: Connection, agent_id: str, run_id: str, status: RunEndStatus) -> None:
    """Note that a run has ended; the first status stays."""
    this = (runs.c.agent_id == agent_id, runs.c.id == run_id, runs.c.status.is_(None))
    connection.execute(update(runs).where(*this).values(status=status, ended_at=time_ns() // 1000))


def model_of(connection: Connection, agent_id: str, run_id: str) -> Mapping[str, Any] | None:
    """Return name and provider of the language model that a run uses, if that was said when it started."""
    query = select(runs.c.model).where(runs.c.agent_id == agent_id, runs.c.id == run_id)
    model: Mapping[str, Any] | None = connection.execute(query).scalar()
    return model


def latest(connection: Connection, tenant: str, limit: int) -> list[RunView]:
    """Return the tenant's latest runs, newest first."""
    query = select(runs).where(runs.c.agent_id.in_(of_tenant(tenant))).order_by(runs.c.started_at.desc()).limit(limit)
    return [view(row) for row in connection.execute(query)]


def of_id(connection: Connection, tenant: str, run_id: str) -> list[RunView]:
    """Return the tenant's runs of that id; agents that chose the same id have one each."""
    query = select(runs).where(runs.c.agent_id.in_(of_tenant(tenant)), runs.c.id == run_id)
    return [view(row) for row in connection.execute(query.order_by(runs.c.started_at))]


def view(row: Row[Any]) -> RunView:
    """Return a row as it is shown to people."""
    return RunView(
        agent_id=row.agent_id,
        run_id=row.id,
        session_id=row.session_id,
        actor_id=row.actor_id,
        status=row.status or "active",
        started_at=moment(row.started_at),
        ended_at=None if row.ended_at is None else moment(row.ended_at),
    )
