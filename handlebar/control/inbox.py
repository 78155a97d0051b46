"""The inbox: whatever waits for a person's answer, questions of rules and hand-offs alike, as one list."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

from attrs import frozen
from sqlalchemy import Connection, Row

from handlebar._plumbing.clock import Deadline
from handlebar.control import agents, approvals
from handlebar.control.approvals import ApprovalRecord
from handlebar.control.database import Database
from handlebar.control.handoffs import listing, packets, storing
from handlebar.control.handoffs.expiring import expire_due
from handlebar.control.handoffs.problems import ProblemError
from handlebar.control.handoffs.wording import read
from handlebar.control.moments import moment
from handlebar.errors import ConfigError, RefusedError
from handlebar.handoff.models.packets import HitlRespondRequest

_SECONDS = 10.0
_VERDICTS = ("approved", "denied")


@frozen(kw_only=True)
class Waiting:
    """
    Something that waits for a person's answer.

    Attributes:
        agent: Who asks: an agent's slug, or its id in a hand-off.

        about: The tool that is to be called, or what the packet is about; untrusted.

        question: What is asked, where that was said.

        options: The answers that are taken; none where any text is.

        approvers: Who may answer; None for anybody.

        run_id: The governed run that waits, where there is one.
    """

    kind: Literal["approval", "packet"]
    id: str
    agent: str
    about: str
    reason: str | None
    question: str | None
    options: tuple[str, ...]
    approvers: tuple[str, ...] | None
    run_id: str | None
    asked_at: datetime
    expires_at: datetime | None


class Inbox:
    """
    What waits for the people of one tenant; thread-safe and fork-safe.

    Args:
        database: Where it is.

        tenant: Whose inbox it is.

        on_change: Called after each answer, e.g. to look what is to be delivered.
    """

    def __init__(self, database: Database, tenant: str, *, on_change: Callable[[], None] = lambda: None) -> None:
        self._database = database
        self._tenant = tenant
        self._on_change = on_change

    def waiting(self, *, limit: int = 100) -> list[Waiting]:
        """
        Return what waits for an answer, the oldest first.

        Raises:
            UnreachableError: The database cannot be used.
        """
        deadline = Deadline.after(_SECONDS)
        expire_due(self._database, deadline, tenant=self._tenant)
        with self._database.read(deadline) as connection:
            slugs = agents.slugs(connection, self._tenant)
            asked = approvals.listed(connection, self._tenant, "pending", limit)
            found = [_of_approval(each, slugs[each.agent_id]) for each in asked]
            page = listing.awaiting(connection, self._tenant, limit=limit)
        found += [_of_packet(row) for row in page.rows]
        return sorted(found, key=lambda each: (each.asked_at, each.id))[:limit]

    def answer(self, item_id: str, response: str, *, responded_by: str, note: str | None = None) -> None:
        """
        Answer what waits under that id. Of two answers that race exactly one wins.

        Args:
            item_id: Of an approval or a packet.

            response: `approved` or `denied` for an approval, one of its options, if it has any, for a packet.

            responded_by: Who answers.

            note: Why, for the record.

        Raises:
            ConfigError: *response* is none that is taken, or *responded_by* is empty.

            RefusedError: Nothing of that id waits for an answer (404, 409), or not for this person's (403).

            UnreachableError: The database cannot be used.
        """
        if not responded_by.strip():
            raise ConfigError("responded_by", responded_by, "a str that is not empty")
        deadline = Deadline.after(_SECONDS)
        expire_due(self._database, deadline, tenant=self._tenant)
        with self._database.write(deadline) as connection:
            if not self._answer_packet(connection, item_id, response, responded_by, note):
                _check_verdict(response)
                approvals.respond(connection, self._tenant, item_id, response, responded_by, note)  # type: ignore[arg-type]  # just checked
        self._on_change()

    def _answer_packet(
        self, connection: Connection, item_id: str, response: str, responded_by: str, note: str | None
    ) -> bool:
        """Answer the packet of that id; return whether there is one."""
        try:
            before = storing.find(connection, self._tenant, item_id)
        except ProblemError:
            return False
        answer = HitlRespondRequest(response=response, responded_by=responded_by, notes=note)
        try:
            packets.respond(connection, before, answer)
        except ProblemError as problem:
            if problem.status == 422:
                raise ConfigError("response", response, problem.words) from problem
            raise RefusedError(problem.words, status=problem.status) from problem
        return True


def _check_verdict(response: str) -> None:
    if response not in _VERDICTS:
        raise ConfigError("response", response, "'approved' or 'denied'")


def _of_approval(approval: ApprovalRecord, slug: str) -> Waiting:
    return Waiting(
        kind="approval",
        id=approval.id,
        agent=slug,
        about=approval.tool_name,
        reason=approval.reason,
        question=None,
        options=_VERDICTS,
        approvers=approval.approvers,
        run_id=approval.run_id,
        asked_at=approval.created_at,
        expires_at=approval.expires_at,
    )


def _of_packet(row: Row[Any]) -> Waiting:
    packet = read(row.body)
    hitl = packet.hitl
    return Waiting(
        kind="packet",
        id=row.id,
        agent=row.source_agent,
        about=packet.context.summary,
        reason=hitl.reason if hitl else None,
        question=hitl.question if hitl else None,
        options=tuple(hitl.options or ()) if hitl else (),
        approvers=None,
        run_id=row.run_id,
        asked_at=moment(row.waiting_since),
        expires_at=moment(row.due_at),
    )
