"""The control planes behind the server: one for each tenant, all on one database."""

from __future__ import annotations

from handlebar._plumbing import logs
from handlebar._plumbing.clock import Deadline
from handlebar._plumbing.repeating import Repeating
from handlebar.control import agents
from handlebar.control.database import Database
from handlebar.control.handoffs.delivering import Deliverer
from handlebar.control.host import Host
from handlebar.control.inbox import Inbox
from handlebar.control.policies import LOOK_SECONDS, NOTHING_CONFIGURED, PolicySources
from handlebar.control.service import THE_TENANT, EmbeddedControlPlane
from handlebar.core.plane import EvaluateRequest
from handlebar.core.schema.governance import Decision
from handlebar.errors import RefusedError, UnreachableError

SECONDS = 10.0
"""How long one request may wait for the database."""


class Tenants:
    """
    Keeps one plane for each tenant; lives as long as the app, thread-safe and fork-safe.

    Args:
        sources: The policies that the server was started with; they are the default tenant's.

        deliverer: Tells webhooks what is to be told.
    """

    def __init__(self, database: Database, sources: PolicySources, deliverer: Deliverer) -> None:
        self._database = database
        self._deliverer = deliverer
        self._sources = sources
        self._look = Repeating(LOOK_SECONDS, self._look_for_policies)
        self._planes: dict[str, EmbeddedControlPlane] = {}

    def plane(self, tenant: str) -> EmbeddedControlPlane:
        """Return the tenant's plane."""
        known = self._planes.get(tenant)
        return known or self._planes.setdefault(tenant, self._made(tenant))

    def inbox(self, tenant: str) -> Inbox:
        """Return what waits for the tenant's people."""
        return Inbox(self._database, tenant, on_change=self.wake)

    def wake(self) -> None:
        """Look at once what webhooks are to be told."""
        self._deliverer.wake()

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
        self._look.stop()
        self._deliverer.close()
        self._database.close()

    def start(self) -> None:
        """Begin with what goes on between requests; only in a process that does not fork any more."""
        if self._sources.may_change:
            self._look.start()
        self._deliverer.start()

    def _look_for_policies(self) -> None:
        """Put in force what the server's policies have become, for those processes too that have nothing to decide."""
        try:
            self.plane(THE_TENANT).load_policies(budget=SECONDS)
        except UnreachableError as error:
            logs.warn_once_a_minute("policies", "Policies could not be put in force: %s", error)

    def _made(self, tenant: str) -> EmbeddedControlPlane:
        sources = self._sources if tenant == THE_TENANT else NOTHING_CONFIGURED
        return EmbeddedControlPlane(
            self._database,
            sources,
            host=Host({}, {}),
            tenant=tenant,
            decided_by="control_plane",
            deliverer=self._deliverer,
        )
