"""The control planes behind the server: one for each tenant, all on one database."""

from __future__ import annotations

from collections.abc import Sequence

from handlebar._plumbing.clock import Deadline
from handlebar.control import agents
from handlebar.control.database import Database
from handlebar.control.handoffs.delivering import Deliverer
from handlebar.control.host import Host
from handlebar.control.policies import PolicySource
from handlebar.control.service import THE_TENANT, EmbeddedControlPlane
from handlebar.core.plane import EvaluateRequest
from handlebar.core.schema.governance import Decision
from handlebar.errors import RefusedError

SECONDS = 10.0
"""How long one request may wait for the database."""


class Tenants:
    """
    Keeps one plane for each tenant; lives as long as the app, thread-safe and fork-safe.

    Args:
        sources: The policies that the server was started with; they are the default tenant's.

        deliverer: Tells webhooks what is to be told.
    """

    def __init__(self, database: Database, sources: Sequence[PolicySource], deliverer: Deliverer) -> None:
        self._database = database
        self._deliverer = deliverer
        self._sources = sources
        self._planes: dict[str, EmbeddedControlPlane] = {}

    def plane(self, tenant: str) -> EmbeddedControlPlane:
        """Return the tenant's plane."""
        known = self._planes.get(tenant)
        return known or self._planes.setdefault(tenant, self._made(tenant))

    def decide(self, tenant: str, request: EvaluateRequest) -> Decision:
        """Return the decision of the tenant's plane."""
        return self.plane(tenant).evaluate(request, budget=SECONDS)

    def slug_of(self, tenant: str, agent: str) -> str:
        """Return the slug of an agent that is named by its id; any other text is taken for a slug."""
        with self._database.read(Deadline.after(SECONDS)) as connection:
            try:
                return agents.find(connection, tenant, agent).slug
            except RefusedError:
                return agent

    def agent_id_of(self, tenant: str, agent: str) -> str:
        """Return the id of an agent that is named by its id or its slug; raises RefusedError (404) for any other."""
        with self._database.read(Deadline.after(SECONDS)) as connection:
            try:
                agents.find(connection, tenant, agent)
            except RefusedError:
                return agents.id_of(connection, tenant, agent)
        return agent

    def check(self) -> None:
        """Raise UnreachableError where the database cannot be used."""
        self._database.quick_number("SELECT 1", Deadline.after(1.0))

    def close(self) -> None:
        """Close this process's connections, once webhooks were told what is due; later use opens new ones."""
        self._deliverer.close()
        self._database.close()

    def start(self) -> None:
        """Begin with what goes on between requests; only in a process that does not fork any more."""
        self._deliverer.start()

    def _made(self, tenant: str) -> EmbeddedControlPlane:
        sources = self._sources if tenant == THE_TENANT else ()
        return EmbeddedControlPlane(
            self._database,
            sources,
            host=Host({}, {}),
            tenant=tenant,
            decided_by="control_plane",
            deliverer=self._deliverer,
        )
