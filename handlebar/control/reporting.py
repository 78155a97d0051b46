"""What people read of a control plane as a whole: its agents, how much they have done, and what belongs together."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select

from handlebar._plumbing.clock import Deadline
from handlebar.control import agents, approvals, handed_over, stories, usage
from handlebar.control.agents import AgentView, of_tenant
from handlebar.control.approvals import ApprovalRecord
from handlebar.control.audit import StoredEvent, stored_event
from handlebar.control.database import Database
from handlebar.control.dialects import unindexed
from handlebar.control.handed_over import HandedOver
from handlebar.control.moments import microseconds
from handlebar.control.stories import Story
from handlebar.control.tables import events, runs
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

    def story_of(self, run_id: str) -> Story:
        """Return a run, and whatever hand-offs link to it; without runs and events where there is none of that id."""
        with self._database.read(Deadline.after(_SECONDS)) as connection:
            return stories.story_of(connection, self._tenant, run_id)

    def handed_over_by(self, run_id: str) -> list[HandedOver]:
        """Return what a run has handed over, oldest first."""
        with self._database.read(Deadline.after(_SECONDS)) as connection:
            return handed_over.by_run(connection, self._tenant, run_id)

    def asked_before(self, question: ApprovalRecord, *, limit: int = 3) -> list[ApprovalRecord]:
        """Return what was asked of the same tool of the same agent before *question*, newest first."""
        with self._database.read(Deadline.after(_SECONDS)) as connection:
            return approvals.before(connection, self._tenant, question, limit)

    def last_messages(self, run_id: str, *, limit: int) -> list[dict[str, Any]]:
        """Return what was said last in a run, oldest first: the data of its messages, which are untrusted."""
        said = (events.c.run_id == run_id, events.c.kind == "message.raw.created")
        query = select(events).where(events.c.agent_id.in_(of_tenant(self._tenant)), *said)
        with self._database.read(Deadline.after(_SECONDS)) as connection:
            rows = connection.execute(query.order_by(events.c.seq.desc()).limit(limit)).all()
        bodies = [stored_event(row).read() for row in reversed(rows)]
        told = [body.get("data") for body in bodies if isinstance(body, dict)]
        return [data for data in told if isinstance(data, dict)]

    def events_of_runs_since(self, since: datetime, *, most_runs: int, limit: int) -> list[StoredEvent]:
        """
        Return the events of the runs that have started since, in the order in which they were recorded.

        Args:
            since: The time.

            most_runs: So many runs at most, the newest.

            limit: So many events at most.
        """
        newest = (
            select(runs.c.agent_id, runs.c.id)
            .where(unindexed(runs.c.agent_id).in_(of_tenant(self._tenant)), runs.c.started_at >= microseconds(since))
            .order_by(runs.c.started_at.desc())
            .limit(most_runs)
            .subquery()
        )
        of_those = select(events).join(
            newest, (events.c.agent_id == newest.c.agent_id) & (events.c.run_id == newest.c.id)
        )
        with self._database.read(Deadline.after(_SECONDS)) as connection:
            return [stored_event(row) for row in connection.execute(of_those.order_by(events.c.seq).limit(limit))]
