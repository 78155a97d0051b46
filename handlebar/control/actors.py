"""Actors as their runs started with them: a question may name but the external id, and rules look at more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve
from sqlalchemy import select

from handlebar._plumbing.clock import Deadline
from handlebar.control.agents import of_tenant
from handlebar.control.database import Database
from handlebar.control.tables import runs
from handlebar.core.plane import EvaluateRequest
from handlebar.core.schema.agents import Actor, ActorGroup

_MOST_REMEMBERED = 10_000


class Actors:
    """
    Completes the actors of a tenant's questions; lives as long as its control plane, thread-safe and fork-safe.

    What a run has started with does not change, so each process reads it once.
    """

    def __init__(self, database: Database, tenant: str) -> None:
        self._database = database
        self._tenant = tenant
        self._known: dict[tuple[str, str], Actor] = {}

    def completed(self, request: EvaluateRequest, deadline: Deadline) -> EvaluateRequest:
        """Return *request* with all that is known of its actor."""
        asked = request.actor
        if asked is None or asked.metadata is not None:
            return request
        known = self._actor(request, deadline)
        return evolve(request, actor=known) if known and known.external_id == asked.external_id else request

    def _actor(self, request: EvaluateRequest, deadline: Deadline) -> Actor | None:
        run = (request.agent_id, request.run_id)
        known = self._known.get(run)
        if known is None:
            known = self._read(*run, deadline)
            if known is not None:
                if len(self._known) >= _MOST_REMEMBERED:
                    self._known.clear()
                self._known[run] = known
        return known

    def _read(self, agent_id: str, run_id: str, deadline: Deadline) -> Actor | None:
        query = select(runs.c.actor).where(runs.c.agent_id == agent_id, runs.c.id == run_id)
        with self._database.read(deadline) as connection:
            stored = connection.execute(query.where(runs.c.agent_id.in_(of_tenant(self._tenant)))).scalar()
        return None if stored is None else _restored(stored)


def _restored(stored: Mapping[str, Any]) -> Actor:
    group = stored["group"]
    return Actor(**{**stored, "group": None if group is None else ActorGroup(**group)})
