"""Agents and their tools as the database keeps them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, select, update

from handlebar._plumbing.clock import time_ns
from handlebar._plumbing.identifiers import uuid7
from handlebar.control.tables import agents, tools
from handlebar.core.schema.agents import AgentDescriptor, Tool


def upsert(connection: Connection, agent: AgentDescriptor) -> str:
    """Make *agent* known, or bring what is known of its slug up to date; return its id."""
    described = {"name": agent.name, "description": agent.description, "tags": list(agent.tags or ())}
    known: str | None = connection.execute(select(agents.c.id).where(agents.c.slug == agent.slug)).scalar()
    if known is not None:
        connection.execute(update(agents).where(agents.c.id == known).values(described))
        return known
    made = uuid7()
    row = {"id": made, "slug": agent.slug, "created_at": time_ns() // 1000, **described}
    connection.execute(insert(agents).values(row))
    return made


def find(connection: Connection, agent_id: str) -> AgentDescriptor | None:
    """Return the agent of that id."""
    row = connection.execute(select(agents).where(agents.c.id == agent_id)).first()
    return AgentDescriptor(row.slug, row.name, row.description, row.tags) if row else None


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
