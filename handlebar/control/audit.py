"""Audit events as the database keeps them: once for each batch, each run's chained by hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

from attrs import frozen
from sqlalchemy import Connection, Row, insert, select, union
from sqlalchemy.dialects.sqlite import insert as insert_or

from handlebar._plumbing.clock import time_ns
from handlebar.control.agents import of_tenant
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
    """

    intact: bool
    length: int
    broken_at: int | None = None


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


def store_batch(connection: Connection, agent_id: str, batch_id: str, batch: Sequence[EncodedEvent]) -> bool:
    """Store *batch*, unless one of that id was stored before; tell whether it was new."""
    first = (
        insert_or(batches)
        .values(agent_id=agent_id, id=batch_id, received_at=time_ns() // 1000)
        .on_conflict_do_nothing()
    )
    if not connection.execute(first).rowcount:
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
        connection.execute(insert(events), rows)
    for run_id, (length, head) in heads.items():
        _set_head(connection, agent_id, run_id, length, head)
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


def stored(connection: Connection, tenant: str, run_id: str | None = None) -> Iterator[StoredEvent]:
    """Yield the tenant's events, or those of one run, in order; no more than some are held in memory at once."""
    if run_id is None:
        # Of an expression there is no index: through one, all would have to be read and sorted first.
        query = select(events).where(events.c.agent_id.concat("").in_(of_tenant(tenant)))
    else:
        query = select(events).where(events.c.agent_id.in_(of_tenant(tenant)), events.c.run_id == run_id)
    for row in connection.execution_options(yield_per=500).execute(query.order_by(events.c.seq)):
        yield StoredEvent(
            agent_id=row.agent_id, run_id=row.run_id, kind=row.kind, ts=row.ts, body=row.body, hash=row.hash
        )


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
    head = _NO_HASH
    number = 0
    for number, row in enumerate(events_of(connection, tenant, run_id, agent_id)):
        head = chained(head, row.body)
        if head != row.hash:
            return ChainReport(intact=False, length=number + 1, broken_at=number)
    found = number + 1 if head else 0
    length, last = _head(connection, agent_id, run_id)
    # Events cut off at the end leave a chain that is sound in itself.
    if (found, head) != (length, last):
        return ChainReport(intact=False, length=found, broken_at=found)
    return ChainReport(intact=True, length=found)


def _head(connection: Connection, agent_id: str, run_id: str) -> tuple[int, str]:
    query = select(chains.c.length, chains.c.head).where(chains.c.agent_id == agent_id, chains.c.run_id == run_id)
    row = connection.execute(query).first()
    return (row.length, row.head) if row else (0, _NO_HASH)


def _set_head(connection: Connection, agent_id: str, run_id: str, length: int, head: str) -> None:
    row = insert_or(chains).values(agent_id=agent_id, run_id=run_id, length=length, head=head)
    connection.execute(
        row.on_conflict_do_update(index_elements=["agent_id", "run_id"], set_={"length": length, "head": head})
    )
