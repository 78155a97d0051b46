"""Lockdowns: an agent, one of its actors or one of its tools may do nothing until that is lifted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from attrs import evolve, frozen
from sqlalchemy import Connection, Row, func, insert, select

from handlebar._plumbing.clock import time_ns
from handlebar._plumbing.identifiers import uuid7
from handlebar.control.agents import of_tenant
from handlebar.control.moments import microseconds, moment
from handlebar.control.tables import lockdown_changes
from handlebar.core.plane import EvaluateRequest, Lockdown, StartRequest
from handlebar.core.schema.governance import Decision, LockdownCause, RunControl, Verdict


@frozen(kw_only=True)
class LockdownRecord:
    """
    A lockdown that has not been lifted.

    Attributes:
        actor_id: The one actor that it is about; None for all.

        tool_name: The one tool that it is about, in any case; None for all.

        until: When it ends by itself; None for never.
    """

    id: str
    agent_id: str
    actor_id: str | None
    tool_name: str | None
    reason: str
    until: datetime | None
    since: datetime

    @property
    def is_over(self) -> bool:
        """Whether its time has passed."""
        return self.until is not None and microseconds(self.until) <= time_ns() // 1000

    def covers(self, agent_id: str, actor_id: str | None, tool_name: str | None) -> bool:
        """Whether it forbids such a call; a *tool_name* of None is about all that a run may do."""
        return (
            self.agent_id == agent_id
            and self.actor_id in (None, actor_id)
            and (self.tool_name is None or (tool_name is not None and self.tool_name.lower() == tool_name.lower()))
            and not self.is_over
        )

    def in_place_of(self, others: Iterable[LockdownRecord]) -> LockdownRecord:
        """Return it as the newer form of the one of *others* that is about the same and in force, if there is one."""
        for each in others:
            if each.scope == self.scope and not each.is_over:
                return evolve(self, id=each.id, since=each.since)
        return self

    @property
    def scope(self) -> tuple[str, str | None, str | None]:
        """What it is about: agent, actor and tool."""
        return self.agent_id, self.actor_id, self.tool_name


def impose(connection: Connection, lockdown: LockdownRecord) -> None:
    """Let *lockdown* be in force."""
    _change(connection, lockdown, active=True)


def lift(connection: Connection, lockdown: LockdownRecord) -> None:
    """Let *lockdown* be over."""
    _change(connection, lockdown, active=False)


def in_force(connection: Connection, tenant: str, agent_id: str | None = None) -> tuple[LockdownRecord, ...]:
    """Return what has not been lifted, of one agent or of all; some of it may be over by its time."""
    latest = select(func.max(lockdown_changes.c.number)).group_by(lockdown_changes.c.lockdown_id)
    query = select(lockdown_changes).where(lockdown_changes.c.number.in_(latest), lockdown_changes.c.active)
    query = query.where(lockdown_changes.c.agent_id.in_(of_tenant(tenant)))
    if agent_id is not None:
        query = query.where(lockdown_changes.c.agent_id == agent_id)
    return tuple(_record(row) for row in connection.execute(query.order_by(lockdown_changes.c.number)))


def for_start(lockdowns: Sequence[LockdownRecord], request: StartRequest) -> Lockdown:
    """Return what a run is told that starts."""
    actor_id = request.actor.external_id if request.actor else None
    for each in lockdowns:
        if each.covers(request.agent_id, actor_id, None):
            until = None if each.until is None else microseconds(each.until) // 1000
            return Lockdown(active=True, reason=each.reason, until_ts=until)
    return Lockdown()


def decision_under(lockdowns: Sequence[LockdownRecord], request: EvaluateRequest) -> Decision | None:
    """Return the decision that a lockdown forces, None where none is about this call."""
    actor_id = request.actor.external_id if request.actor else None
    for each in lockdowns:
        if each.covers(request.agent_id, actor_id, request.tool_name):
            message = f"{_what(each)} is locked down: {each.reason}"
            return Decision(Verdict.BLOCK, RunControl.TERMINATE, LockdownCause(each.id), message)
    return None


def new_lockdown(
    agent_id: str, reason: str, *, until: datetime | None, actor_id: str | None, tool_name: str | None
) -> LockdownRecord:
    """Return a lockdown from now on."""
    return LockdownRecord(
        id=uuid7(),
        agent_id=agent_id,
        actor_id=actor_id,
        tool_name=tool_name,
        reason=reason,
        until=until,
        since=moment(time_ns() // 1000),
    )


def _what(lockdown: LockdownRecord) -> str:
    if lockdown.tool_name is not None:
        return f"The tool {lockdown.tool_name!r}"
    return "The agent" if lockdown.actor_id is None else "This actor"


def _change(connection: Connection, lockdown: LockdownRecord, *, active: bool) -> None:
    row = {
        "lockdown_id": lockdown.id,
        "agent_id": lockdown.agent_id,
        "actor_id": lockdown.actor_id,
        "tool_name": lockdown.tool_name,
        "reason": lockdown.reason,
        "until": None if lockdown.until is None else microseconds(lockdown.until),
        "since": microseconds(lockdown.since),
        "active": active,
    }
    connection.execute(insert(lockdown_changes).values(row))


def _record(row: Row[Any]) -> LockdownRecord:
    return LockdownRecord(
        id=row.lockdown_id,
        agent_id=row.agent_id,
        actor_id=row.actor_id,
        tool_name=row.tool_name,
        reason=row.reason,
        until=None if row.until is None else moment(row.until),
        since=moment(row.since),
    )
