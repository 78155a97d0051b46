"""Letting go of old events: whole runs at a time, so that what is kept can still be verified."""

from __future__ import annotations

from attrs import frozen
from sqlalchemy import Connection, and_, delete, func, or_, select, update

from handlebar.control import audit
from handlebar.control.agents import of_tenant
from handlebar.control.tables import chains, events

Key = tuple[str, str]
"""Agent and id of a run."""


@frozen
class Pruned:
    """
    What became of some runs.

    Attributes:
        last: The last run that was looked at; None where there are no more.
    """

    runs: int = 0
    events: int = 0
    last: Key | None = None


def prune_some(
    connection: Connection, tenant: str, before: str, *, after: Key | None, limit: int, dry: bool = False
) -> Pruned:
    """
    Delete the events of runs whose events are all older; the hash of the last one stays as the chain's beginning.

    A run whose chain is broken is left as it is.

    Args:
        connection: A transaction that writes.

        tenant: Whose runs they are.

        before: The time, as events have it.

        after: Look at the runs after this one.

        limit: Look at so many runs.

        dry: Delete nothing, only count.
    """
    found = _some_runs(connection, tenant, after=after, limit=limit)
    # A chain that is broken is left as it is: to prune it would hide that.
    old = [run for run, latest in found if latest < before and audit.verify(connection, tenant, *run).intact]
    number = sum(_prune(connection, run, dry=dry) for run in old)
    return Pruned(len(old), number, found[-1][0] if len(found) == limit else None)


def _some_runs(connection: Connection, tenant: str, *, after: Key | None, limit: int) -> list[tuple[Key, str]]:
    """Return some runs that have events, in order, each with the time of the latest of them."""
    latest = (
        select(func.max(events.c.ts))
        .where(events.c.agent_id == chains.c.agent_id, events.c.run_id == chains.c.run_id)
        .scalar_subquery()
    )
    query = select(chains.c.agent_id, chains.c.run_id, latest.label("latest"))
    query = query.where(chains.c.agent_id.in_(of_tenant(tenant)), chains.c.length > func.coalesce(chains.c.pruned, 0))
    if after is not None:
        same_agent = and_(chains.c.agent_id == after[0], chains.c.run_id > after[1])
        query = query.where(or_(chains.c.agent_id > after[0], same_agent))
    rows = connection.execute(query.order_by(chains.c.agent_id, chains.c.run_id).limit(limit))
    return [((row.agent_id, row.run_id), row.latest or "") for row in rows]


def _prune(connection: Connection, run: Key, *, dry: bool) -> int:
    of_run = (events.c.agent_id == run[0], events.c.run_id == run[1])
    number: int = connection.execute(select(func.count()).select_from(events).where(*of_run)).scalar_one()
    if not dry:
        connection.execute(delete(events).where(*of_run))
        kept = {"pruned": chains.c.length, "pruned_head": chains.c.head}
        connection.execute(update(chains).where(chains.c.agent_id == run[0], chains.c.run_id == run[1]).values(kept))
    return number
