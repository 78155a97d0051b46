"""Which processes act for an agent, and which lockdowns they have confirmed."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from attrs import frozen
from sqlalchemy import Connection, Executable, delete, func, insert, select, update

from handlebar._plumbing.clock import time_ns
from handlebar.control.lockdowns import LockdownRecord
from handlebar.control.moments import moment
from handlebar.control.tables import client_processes, lockdown_confirmations
from handlebar.core.plane import Presence

RECENT_SECONDS = 180
"""A process that has not asked for so long has ended, or cannot reach us."""

_FRESH_SECONDS = 20
_FORGOTTEN_SECONDS = 24 * 3600
_SECOND = 1_000_000


@frozen(kw_only=True)
class SeenProcess:
    """A process that acts for an agent; *at* says when it was seen, or when it confirmed."""

    process: str
    host: str
    at: datetime


@frozen(kw_only=True)
class LockdownStanding:
    """
    Who obeys a lockdown.

    Attributes:
        confirmed: The processes that have said that they obey it, in the order in which they have.

        unconfirmed: Those that were seen a short time ago, and have not.
    """

    lockdown: LockdownRecord
    confirmed: tuple[SeenProcess, ...]
    unconfirmed: tuple[SeenProcess, ...]


def is_known(connection: Connection, agent_id: str, presence: Presence, obeyed: Collection[str]) -> bool:
    """Whether all that *presence* says was noted a moment ago, so that nothing has to be written."""
    processes, confirmations = client_processes.c, lockdown_confirmations.c
    this = (processes.agent_id == agent_id, processes.process == presence.process)
    fresh = select(func.count()).where(*this, processes.seen_at > _ago(_FRESH_SECONDS))
    noted = select(func.count()).where(confirmations.process == presence.process, confirmations.lockdown_id.in_(obeyed))
    return bool(connection.execute(fresh).scalar_one()) and connection.execute(noted).scalar_one() == len(obeyed)


def note(connection: Connection, agent_id: str, presence: Presence, obeyed: Collection[str]) -> None:
    """Take note of a process, and of the lockdowns that it confirms."""
    _note_process(connection, agent_id, presence)
    confirmations = lockdown_confirmations.c
    query = select(confirmations.lockdown_id).where(
        confirmations.process == presence.process, confirmations.lockdown_id.in_(obeyed)
    )
    who = {"process": presence.process, "host": presence.host, "at": _ago(0)}
    rows = [{"lockdown_id": each, **who} for each in set(obeyed) - set(connection.execute(query).scalars())]
    if rows:
        connection.execute(insert(lockdown_confirmations), rows)


def standing(connection: Connection, lockdown: LockdownRecord) -> LockdownStanding:
    """Return who obeys *lockdown*."""
    confirmations = lockdown_confirmations.c
    query = select(confirmations.process, confirmations.host, confirmations.at)
    confirmed = _seen(connection, query.where(confirmations.lockdown_id == lockdown.id).order_by(confirmations.at))
    done = {each.process for each in confirmed}
    recent = _recent(connection, lockdown.agent_id)
    return LockdownStanding(
        lockdown=lockdown,
        confirmed=confirmed,
        unconfirmed=tuple(each for each in recent if each.process not in done),
    )


def _note_process(connection: Connection, agent_id: str, presence: Presence) -> None:
    processes = client_processes.c
    this = (processes.agent_id == agent_id, processes.process == presence.process)
    seen = {"host": presence.host, "seen_at": _ago(0)}
    if not connection.execute(update(client_processes).where(*this).values(seen)).rowcount:
        connection.execute(delete(client_processes).where(processes.seen_at < _ago(_FORGOTTEN_SECONDS)))
        connection.execute(insert(client_processes).values(agent_id=agent_id, process=presence.process, **seen))


def _recent(connection: Connection, agent_id: str) -> tuple[SeenProcess, ...]:
    processes = client_processes.c
    query = select(processes.process, processes.host, processes.seen_at)
    recent = query.where(processes.agent_id == agent_id, processes.seen_at > _ago(RECENT_SECONDS))
    return _seen(connection, recent.order_by(processes.seen_at))


def _seen(connection: Connection, query: Executable) -> tuple[SeenProcess, ...]:
    rows = connection.execute(query)
    return tuple(SeenProcess(process=process, host=host, at=moment(at)) for process, host, at in rows)


def _ago(seconds: int) -> int:
    return time_ns() // 1000 - seconds * _SECOND
