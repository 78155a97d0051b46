"""Agents and their tools as the database keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from attrs import frozen
from sqlalchemy import Connection, Select, bindparam, delete, insert, select, update

from handlebar._plumbing.clock import time_ns
from handlebar._plumbing.identifiers import uuid7
from handlebar.control.moments import moment
from handlebar.control.tables import agents, tools
from handlebar.core.schema.agents import AgentDescriptor, Tool
from handlebar.errors import RefusedError


@frozen(kw_only=True)
class AgentView:
    """An agent as it is shown to people; *version* counts its changes."""

    id: str
    described: AgentDescriptor
    tools: tuple[Tool, ...]
    version: int
    created_at: datetime


def views(connection: Connection, tenant: str) -> list[AgentView]:
    """Return the tenant's agents with their tools, by slug."""
    every: dict[str, list[Tool]] = {}
    for row in connection.execute(select(tools).where(tools.c.agent_id.in_(of_tenant(tenant))).order_by(tools.c.name)):
        every.setdefault(row.agent_id, []).append(Tool(row.name, row.description, row.tags))
    rows = connection.execute(select(agents).where(agents.c.tenant == tenant).order_by(agents.c.slug))
    return [
        AgentView(
            id=row.id,
            described=AgentDescriptor(row.slug, row.name, row.description, row.tags),
            tools=tuple(every.get(row.id, ())),
            version=row.version,
            created_at=moment(row.created_at),
        )
        for row in rows
    ]


def upsert(connection: Connection, tenant: str, agent: AgentDescriptor) -> str:
    """Make *agent* known, or bring what is known of its slug up to date; return its id."""
    known = _id_of(connection, tenant, agent.slug)
    if known is None:
        return _add(connection, tenant, uuid7(), agent)
    described = _described(agent)
    if _described(find(connection, tenant, known)) != described:
        newer = {**described, "version": agents.c.version + 1}
        connection.execute(update(agents).where(agents.c.id == known).values(newer))
    return known


def restore(connection: Connection, tenant: str, agent_id: str, agent: AgentDescriptor) -> None:
    """Make *agent* known under the id that it had before, unless its slug is known."""
    if _id_of(connection, tenant, agent.slug) is None:
        _add(connection, tenant, agent_id, agent)


def find(connection: Connection, tenant: str, agent_id: str) -> AgentDescriptor:
    """
    Return the agent of that id.

    Raises:
        RefusedError: The tenant has none (404).
    """
    row = connection.execute(_OF_ID, {"tenant": tenant, "id": agent_id}).first()
    if row is None:
        raise RefusedError(f"There is no agent with the id {agent_id!r}", status=404)
    return AgentDescriptor(row.slug, row.name, row.description, row.tags)


def of_tenant(tenant: str) -> Select[Any]:
    """Return what selects the ids of the tenant's agents."""
    return select(agents.c.id).where(agents.c.tenant == tenant)


def id_of(connection: Connection, tenant: str, slug: str) -> str:
    """
    Return the id of the agent with that *slug*.

    Raises:
        RefusedError: The tenant has none (404).
    """
    known = _id_of(connection, tenant, slug)
    if known is None:
        raise RefusedError(f"There is no agent with the slug {slug!r}", status=404)
    return known


def slugs(connection: Connection, tenant: str) -> dict[str, str]:
    """Return the slugs of the tenant's agents by their ids."""
    rows = connection.execute(select(agents.c.id, agents.c.slug).where(agents.c.tenant == tenant))
    return {row.id: row.slug for row in rows}


def set_tools(connection: Connection, agent_id: str, described: Sequence[Tool]) -> None:
    """Let *described* be the agent's tools, and no others; of two of one name the last."""
    connection.execute(delete(tools).where(tools.c.agent_id == agent_id))
    by_name = {tool.name: tool for tool in described}
    rows = [
        {"agent_id": agent_id, "name": name, "description": tool.description, "tags": list(tool.tags or ())}
        for name, tool in by_name.items()
    ]
    if rows:
        connection.execute(insert(tools), rows)


# Every request asks this, and SQLAlchemy takes longer to build a statement than SQLite to answer it.
_OF_ID = select(agents).where(agents.c.tenant == bindparam("tenant"), agents.c.id == bindparam("id"))


def _id_of(connection: Connection, tenant: str, slug: str) -> str | None:
    known: str | None = connection.execute(of_tenant(tenant).where(agents.c.slug == slug)).scalar()
    return known


def _add(connection: Connection, tenant: str, agent_id: str, agent: AgentDescriptor) -> str:
    row = {"id": agent_id, "tenant": tenant, "slug": agent.slug, "created_at": time_ns() // 1000}
    connection.execute(insert(agents).values(**row, **_described(agent), version=1))
    return agent_id


def _described(agent: AgentDescriptor) -> dict[str, Any]:
    return {"name": agent.name, "description": agent.description, "tags": list(agent.tags or ())}
