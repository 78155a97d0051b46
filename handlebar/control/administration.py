"""What people do with a control plane: read what it remembers, answer what it asks, lock agents down."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Sequence
from datetime import datetime
from typing import Any

from handlebar._plumbing.clock import Deadline
from handlebar.control import agents, approvals, audit, lockdowns, presence, runs
from handlebar.control.approvals import Answer, ApprovalRecord
from handlebar.control.audit import ChainReport, RunReport, StoredEvent
from handlebar.control.browsing_administration import BrowsingAdministration
from handlebar.control.lockdowns import LockdownRecord
from handlebar.control.presence import LockdownStanding
from handlebar.control.reporting import Reporting
from handlebar.control.runs import RunView
from handlebar.core.plane import ApprovalStatus
from handlebar.errors import ConfigError

_SECONDS = 10.0
"""How long one of these calls may wait for the database."""


class Administration(BrowsingAdministration, Reporting):
    """Reads and changes a control plane's database for the people of one tenant; thread-safe and fork-safe."""

    def runs(self, *, limit: int = 100) -> list[RunView]:
        """
        Return the latest runs, newest first.

        Raises:
            UnreachableError: The database cannot be read.
        """
        with self._database.read(Deadline.after(_SECONDS)) as connection:
            return runs.latest(connection, self._tenant, limit)

    def agent_slugs(self) -> dict[str, str]:
        """
        Return the slugs of all agents by their ids.

        Raises:
            UnreachableError: The database cannot be read.
        """
        with self._database.read(Deadline.after(_SECONDS)) as connection:
            return agents.slugs(connection, self._tenant)

    def runs_of_id(self, run_id: str) -> list[RunView]:
        """
        Return the runs of that id: one for each agent that has used it.

        Raises:
            UnreachableError: The database cannot be read.
        """
        with self._database.read(Deadline.after(_SECONDS)) as connection:
            return runs.of_id(connection, self._tenant, run_id)

    def stored_events(
        self, run_id: str | None = None, *, kinds: Sequence[str] = ()
    ) -> Generator[StoredEvent, None, None]:
        """
        Yield the audit events of a run, or of all, in the order in which they were recorded, as they are stored.

        Where *kinds* are given, only those of these kinds.

        They are read as they are taken, from one state of the database, so that there may be millions. Close what
        is not read to its end.

        Raises:
            UnreachableError: The database cannot be read.
        """
        with self._database.read(Deadline.after(_SECONDS)) as connection:
            yield from audit.stored(connection, self._tenant, run_id, kinds)

    def events(self, run_id: str) -> list[dict[str, Any]]:
        """
        Return the audit events of a run as they are on the wire, in the order in which they were recorded.

        Raises:
            UnreachableError: The database cannot be read.
        """
        with self._database.read(Deadline.after(_SECONDS)) as connection:
            return [json.loads(row.body) for row in audit.events_of(connection, self._tenant, run_id)]

    def approvals(self, *, status: ApprovalStatus | None = None, limit: int = 100) -> list[ApprovalRecord]:
        """
        Return the latest questions to people, newest first.

        Args:
            status: Only those that are `pending`, `approved`, `denied`, `expired` or `used`.

            limit: So many at most.

        Raises:
            UnreachableError: The database cannot be read.
        """
        with self._database.read(Deadline.after(_SECONDS)) as connection:
            return approvals.listed(connection, self._tenant, status, limit)

    def approval(self, approval_id: str) -> ApprovalRecord:
        """
        Return one question.

        Raises:
            RefusedError: There is none of that id (404).

            UnreachableError: The database cannot be read.
        """
        with self._database.read(Deadline.after(_SECONDS)) as connection:
            return approvals.find(connection, self._tenant, approval_id)

    def respond(
        self, approval_id: str, status: Answer, *, responded_by: str, note: str | None = None
    ) -> ApprovalRecord:
        """
        Answer a question. Of two answers that race exactly one wins.

        Args:
            approval_id: The question.

            status: `approved` or `denied`.

            responded_by: Who answers.

            note: Why, for the record.

        Raises:
            ConfigError: *status* or *responded_by* is not what is allowed.

            RefusedError: There is no such question (404); it is not open any more, or this person has answered
                already (409); this person may not answer (403).

            UnreachableError: The database cannot be used.
        """
        _check_answer(status, responded_by)
        with self._database.write(Deadline.after(_SECONDS)) as connection:
            approvals.respond(connection, self._tenant, approval_id, status, responded_by, note)
            answered = approvals.find(connection, self._tenant, approval_id)
        self._something_happened()
        return answered

    def lock_down(
        self,
        agent: str,
        reason: str,
        *,
        until: datetime | None = None,
        actor: str | None = None,
        tool: str | None = None,
    ) -> LockdownRecord:
        """
        Forbid an agent everything, from its next decision on, in every process.

        Where the same agent, actor and tool are locked down already, that lockdown takes the new reason and end.

        Args:
            agent: The agent's slug.

            reason: Why, for people and models.

            until: When it ends by itself, with a time zone; None for not before it is lifted.

            actor: The external id of the one actor that it is about; None for all.

            tool: The name of the one tool that it is about; None for all.

        Raises:
            ConfigError: *reason* is empty, or *until* has no time zone.

            RefusedError: There is no such agent (404).

            UnreachableError: The database cannot be used.
        """
        if not reason.strip():
            raise ConfigError("reason", reason, "a str that is not empty")
        if until is not None and until.tzinfo is None:
            raise ConfigError("until", until, "a datetime with a time zone")
        with self._database.write(Deadline.after(_SECONDS)) as connection:
            agent_id = agents.id_of(connection, self._tenant, agent)
            made = lockdowns.new_lockdown(agent_id, reason, until=until, actor_id=actor, tool_name=tool)
            made = made.in_place_of(lockdowns.in_force(connection, self._tenant, agent_id))
            lockdowns.impose(connection, made)
        return made

    def lockdowns(self, agent: str | None = None) -> list[LockdownRecord]:
        """
        Return the lockdowns in force, of one agent (by its slug) or of all.

        Raises:
            RefusedError: There is no such agent (404).

            UnreachableError: The database cannot be read.
        """
        with self._database.read(Deadline.after(_SECONDS)) as connection:
            agent_id = None if agent is None else agents.id_of(connection, self._tenant, agent)
            return [each for each in lockdowns.in_force(connection, self._tenant, agent_id) if not each.is_over]

    def lockdown_standings(self, agent: str | None = None) -> list[LockdownStanding]:
        """
        Return who has confirmed the lockdowns in force, of one agent (by its slug) or of all, and who has not.

        Those that confirm are processes that reach the control plane over HTTP: they go on looking how their agent
        stands. Where the control plane is embedded, every decision sees a lockdown, and there is nothing to confirm.

        Raises:
            RefusedError: There is no such agent (404).

            UnreachableError: The database cannot be read.
        """
        with self._database.read(Deadline.after(_SECONDS)) as connection:
            agent_id = None if agent is None else agents.id_of(connection, self._tenant, agent)
            known = lockdowns.in_force(connection, self._tenant, agent_id)
            return [presence.standing(connection, each) for each in known if not each.is_over]

    def lift_lockdown(self, agent: str, *, actor: str | None = None, tool: str | None = None) -> int:
        """
        Lift what `lock_down` has imposed with the same *agent*, *actor* and *tool*; return how many were lifted.

        Raises:
            RefusedError: There is no such agent (404).

            UnreachableError: The database cannot be used.
        """
        with self._database.write(Deadline.after(_SECONDS)) as connection:
            known = lockdowns.in_force(connection, self._tenant, agents.id_of(connection, self._tenant, agent))
            meant = [each for each in known if (each.actor_id, each.tool_name) == (actor, tool)]
            for each in meant:
                lockdowns.lift(connection, each)
        return len(meant)

    def verify_chain(self, agent_id: str, run_id: str) -> ChainReport:
        """
        Check that no audit event of a run was changed, removed or moved since it was recorded.

        Raises:
            UnreachableError: The database cannot be read.
        """
        with self._database.read(Deadline.after(_SECONDS)) as connection:
            return audit.verify(connection, self._tenant, agent_id, run_id)

    def verify_chains(self, run_id: str | None = None) -> Iterator[RunReport]:
        """
        Yield what `verify_chain` finds of each run, or of those with that *run_id*: agents may share one.

        Raises:
            UnreachableError: The database cannot be read.
        """
        with self._database.read(Deadline.after(_SECONDS)) as connection:
            for agent, run in audit.runs_to_verify(connection, self._tenant, run_id):
                yield RunReport(agent, run, audit.verify(connection, self._tenant, agent, run))

    def _something_happened(self) -> None:
        """Take note that webhooks may have to be told something; here it is others who tell them."""


def _check_answer(status: object, responded_by: object) -> None:
    if status not in ("approved", "denied"):
        raise ConfigError("status", status, "'approved' or 'denied'")
    if not isinstance(responded_by, str) or not responded_by.strip():
        raise ConfigError("responded_by", responded_by, "a str that is not empty")
