"""The control planes behind the server: one for each tenant, all on one database."""

from __future__ import annotations

from collections.abc import Sequence

from handlebar._plumbing.clock import Deadline
from handlebar.control import agents
from handlebar.control.database import Database
from handlebar.control.host import Host
from handlebar.control.policies import PolicySource
from handlebar.control.service import THE_TENANT, EmbeddedControlPlane
from handlebar.core.plane import EvaluateRequest
from handlebar.core.schema.governance import Decision
from handlebar.errors import RefusedError
from handlebar.server.actors import Actors

SECONDS = 10.0
"""How long one request may wait for the database."""


class Tenants:
    """
    Keeps one plane for each tenant; lives as long as the app, thread-safe and fork-safe.

    Args:
        sources: The policies that the server was started with; they are the default tenant's.
    """

    def __init__(self, database: Database, sources: Sequence[PolicySource]) -> None:
        self._database = database
        self._sources = sources
        self._planes: dict[str, EmbeddedControlPlane] = {}
        self._actors = Actors(database)

    def plane(self, tenant: str) -> EmbeddedControlPlane:
        """Return the tenant's plane."""
        known = self._planes.get(tenant)
        return known or self._planes.setdefault(tenant, self._made(tenant))

    def decide(self, tenant: str, request: EvaluateRequest) -> Decision:
        """Return the tenant's plane's decision, made with all that is known of the actor."""
        deadline = Deadline.after(SECONDS)
        completed = self._actors.completed(tenant, request, deadline)
        return self.plane(tenant).evaluate(completed, budget=deadline.remaining())

    def slug_of(self, tenant: str, agent: str) -> str:
        """Return the slug of an agent that is named by its id; any other text is taken for a slug."""
        with self._database.read(Deadline.after(SECONDS)) as connection:
            try:
                return agents.find(connection, tenant, agent).slug
            except RefusedError:
                return agent

    def check(self) -> None:
        """Raise UnreachableError where the database cannot be used."""
        self._database.quick_number("SELECT 1", Deadline.after(1.0))

    def close(self) -> None:
        """Close this process's connections; later use opens new ones."""
        self._database.close()

    def _made(self, tenant: str) -> EmbeddedControlPlane:
        sources = self._sources if tenant == THE_TENANT else ()
        return EmbeddedControlPlane(self._database, sources, host=Host({}, {}), tenant=tenant)
