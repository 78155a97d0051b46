"""What people read of a control plane as a whole: its agents, and how much they have done."""

from __future__ import annotations

from handlebar._plumbing.clock import Deadline
from handlebar.control import agents, usage
from handlebar.control.agents import AgentView
from handlebar.control.database import Database
from handlebar.control.usage import UsageOf

_SECONDS = 10.0
"""How long one of these calls may wait for the database."""


class Reporting:
    """
    Reads of one tenant what no single run tells; thread-safe and fork-safe.

    Every method raises UnreachableError where the database cannot be read.
    """

    _database: Database
    _tenant: str

    def agents(self) -> list[AgentView]:
        """Return the agents with their tools, by slug."""
        with self._database.read(Deadline.after(_SECONDS)) as connection:
            return agents.views(connection, self._tenant)

    def usage_by_hour(self, *, since_hour: int) -> list[UsageOf]:
        """Return what was done in each hour since 1970 from *since_hour* on, oldest first."""
        with self._database.read(Deadline.after(_SECONDS)) as connection:
            return usage.by_hour(connection, self._tenant, since_hour=since_hour)

    def usage_by_agent(self, *, since_hour: int) -> list[UsageOf]:
        """Return what each agent has done since, by its id."""
        with self._database.read(Deadline.after(_SECONDS)) as connection:
            return usage.by_agent(connection, self._tenant, since_hour=since_hour)

    def usage_by_actor(self, *, since_hour: int, limit: int = 10) -> list[UsageOf]:
        """Return what was done for the busiest actors since; an empty one stands for none."""
        with self._database.read(Deadline.after(_SECONDS)) as connection:
            return usage.by_actor(connection, self._tenant, since_hour=since_hour, limit=limit)
