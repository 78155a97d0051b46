"""Audit events as the database keeps them: once for each batch, each run's chained by hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from attrs import frozen
from sqlalchemy import Connection, Executable, Row, bindparam, func, select, union

from handlebar._plumbing.clock import time_ns
from handlebar.control import run_marks, usage
from handlebar.control.agents import of_tenant
from handlebar.control.database import direct
from handlebar.control.dialects import insert_or, unindexed
from handlebar.control.tables import batches, chains, events, runs
from handlebar.core.plane import EncodedEvent

_NO_HASH = ""


@frozen
class ChainReport:
    """
    Whether a run's events are all there, in order, as they were recorded.

    Attributes:
        intact: True where nothing is wrong.

        length: How many events were looked at.

        broken_at: The number, from 0, of the first event that was changed, is missing or out of place; None
            where the chain is intact.

        pruned: How many events before those are kept no more; the chain goes on from the last of them.
    """

    intact: bool
    length: int
    broken_at: int | None = None
    pruned: int = 0


@frozen
class RunReport:
    """What was found of which run's events."""

    agent_id: str
    run_id: str
    chain: ChainReport


@frozen(kw_only=True)
class StoredEvent:
    """
    An audit event as the database keeps it.

    Attributes:
        ts: When it happened, as its agent says.

        body: The event as JSON, as it was recorded.

        hash: Of the event before it in its run, and of its body.
    """

    agent_id: str
    run_id: str
    kind: str
    ts: str
    body: str
    hash: str

    def read(self) -> Any:
        """Return the body as JSON values; as text, where somebody has made it something else in the database."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return self.body


def store_batch(connection: Connection, agent_id: str, batch_id: str, batch: Sequence[EncodedEvent]) -> bool:
    """Store *batch*, unless one of that id was stored before; tell whether it was new."""
    received = {"agent_id": agent_id, "id": batch_id, "received_at": time_ns() // 1000}
    if not direct.rows(connection, _receiving(connection.dialect.name), received):
        return False
    heads = {run_id: _head(connection, agent_id, run_id) for run_id in {event.run_id for event in batch}}
    rows = []
    for event in batch:
        length, head = heads[event.run_id]
        heads[event.run_id] = (length + 1, chained(head, event.text))
        rows.append(
            {
                "agent_id": agent_id,
                "run_id": event.run_id,
                "kind": event.kind,
                "ts": event.ts,
                "body": event.text,
                "hash": heads[event.run_id][1],
            }
        )
    if rows:
        direct.insert_many(connection, events, rows)
        _set_heads(connection, agent_id, heads)
    usage.count(connection, agent_id, batch)
    run_marks.note(connection, agent_id, batch)
    return True


def chained(before: str, body: str) -> str:
    """Return the hash of an event, which depends on all that came before it in its run."""
    return hashlib.sha256(f"{before}\n{body}".encode()).hexdigest()


def events_of(connection: Connection, tenant: str, run_id: str, agent_id: str | None = None) -> Iterator[Row[Any]]:
    """Return agent, body and hash of a run's events, in order."""
    query = select(events.c.agent_id, events.c.body, events.c.hash).where(events.c.run_id == run_id)
    query = query.where(events.c.agent_id.in_(of_tenant(tenant)))
    if agent_id is not None:
        query = query.where(events.c.agent_id == agent_id)
    return iter(connection.execute(query.order_by(events.c.seq)))


def stored(
    connection: Connection, tenant: str, run_id: str | None = None, kinds: Sequence[str] = ()
) -> Iterator[StoredEvent]:
    """
    Yield the tenant's events in order; no more than some are held in memory at once.

    Args:
        connection: A transaction.

        tenant: Whose they are.

        run_id: Only those of this run.

        kinds: Only those of these kinds; of all where none is given.
    """
    if run_id is None:
        # Through an index of the agents, all would have to be read and sorted first.
        query = select(events).where(unindexed(events.c.agent_id).in_(of_tenant(tenant)))
    else:
        query = select(events).where(events.c.agent_id.in_(of_tenant(tenant)), events.c.run_id == run_id)
    if kinds:
        query = query.where(events.c.kind.in_(kinds))
    for row in connection.execution_options(yield_per=500).execute(query.order_by(events.c.seq)):
        yield stored_event(row)


def number_of_stored(connection: Connection, tenant: str, run_id: str | None = None) -> int:
    """Return how many events there are, for progress bars."""
    query = select(func.count()).select_from(events).where(events.c.agent_id.in_(of_tenant(tenant)))
    number: int = connection.execute(query if run_id is None else query.where(events.c.run_id == run_id)).scalar_one()
    return number


def stored_event(row: Row[Any]) -> StoredEvent:
    """Return a row as an event."""
    return StoredEvent(agent_id=row.agent_id, run_id=row.run_id, kind=row.kind, ts=row.ts, body=row.body, hash=row.hash)


def runs_to_verify(connection: Connection, tenant: str, run_id: str | None = None) -> list[tuple[str, str]]:
    """Return agent and id of every run of which there is any trace, or of those with that *run_id*."""
    sides = [(runs.c.agent_id, runs.c.id), (chains.c.agent_id, chains.c.run_id), (events.c.agent_id, events.c.run_id)]
    traces = []
    for agent, run in sides:
        trace = select(agent.label("agent_id"), run.label("run_id")).where(agent.in_(of_tenant(tenant)))
        traces.append(trace if run_id is None else trace.where(run == run_id))
    rows = connection.execute(union(*traces).order_by("agent_id", "run_id"))
    return [(row.agent_id, row.run_id) for row in rows]


def verify(connection: Connection, tenant: str, agent_id: str, run_id: str) -> ChainReport:
    """Check the chain of one run's events."""
    chain = _chain(connection, agent_id, run_id)
    number, head = chain.pruned, chain.pruned_head
    for number, row in enumerate(events_of(connection, tenant, run_id, agent_id), chain.pruned + 1):
        head = chained(head, row.body)
        if head != row.hash:
            return ChainReport(intact=False, length=number - chain.pruned, broken_at=number - 1, pruned=chain.pruned)
    # Events cut off at the end leave a chain that is sound in itself.
    intact = (number, head) == (chain.length, chain.head)
    broken_at = None if intact else number
    return ChainReport(intact=intact, length=number - chain.pruned, broken_at=broken_at, pruned=chain.pruned)


@frozen
class _Chain:
    """Where a run's chain has come to; and where it begins, once its first events were pruned."""

    length: int = 0
    head: str = _NO_HASH
    pruned: int = 0
    pruned_head: str = _NO_HASH


def _chain(connection: Connection, agent_id: str, run_id: str) -> _Chain:
    query = select(chains).where(chains.c.agent_id == agent_id, chains.c.run_id == run_id)
    row = connection.execute(query).first()
    if row is None:
        return _Chain()
    return _Chain(row.length, row.head, row.pruned or 0, row.pruned_head or _NO_HASH)


def _head(connection: Connection, agent_id: str, run_id: str) -> tuple[int, str]:
    found = direct.rows(connection, _HEAD, {"agent_id": agent_id, "run_id": run_id})
    return (found[0][0], found[0][1]) if found else (0, _NO_HASH)


def _set_heads(connection: Connection, agent_id: str, heads: Mapping[str, tuple[int, str]]) -> None:
    rows = [
        {"agent_id": agent_id, "run_id": run_id, "length": length, "head": head}
        for run_id, (length, head) in heads.items()
    ]
    connection.execute(_lengthening(connection.dialect.name), rows)


# SQLAlchemy takes longer to build a statement than SQLite to run it: each is built once.

_HEAD = select(chains.c.length, chains.c.head).where(
    chains.c.agent_id == bindparam("agent_id"), chains.c.run_id == bindparam("run_id")
)


@cache
def _receiving(dialect: str) -> Executable:
    """Return what takes note of a batch, and tells its id where it is new."""
    received: Executable = insert_or(dialect, batches).on_conflict_do_nothing().returning(batches.c.id)
    return received


@cache
def _lengthening(dialect: str) -> Executable:
    """Return what notes where chains have come to."""
    row = insert_or(dialect, chains)
    now = {"length": row.excluded.length, "head": row.excluded.head}
    lengthening: Executable = row.on_conflict_do_update(index_elements=["agent_id", "run_id"], set_=now)
    return lengthening
