"""What one process has been told of its agent since: lockdowns and budgets."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Mapping

from handlebar._plumbing.clock import time_ns
from handlebar._plumbing.identifiers import uuid7
from handlebar.core.budgets import BudgetGrant, BudgetManager
from handlebar.core.plane import ControlPlane, EvaluateRequest, LockdownNotice, Presence
from handlebar.core.schema.metrics import InbuiltAgentMetricKind as Kind

_MOST_ACTORS = 100
"""Budgets are asked for the actors of so many runs, the latest."""

_OF_ARGUMENTS = frozenset({Kind.BYTES_IN.value, Kind.RECORDS_IN.value})


class Watch:
    """
    Looks how the agent stands, and keeps what was seen; lives as long as the client, in one process.

    Thread-safe: one thread looks, all others read.

    Attributes:
        lockdowns: Those in force when somebody last looked; they stay in force while nobody can look.
    """

    def __init__(self, plane: ControlPlane, *, budget: float) -> None:
        self._plane = plane
        self._budget = budget
        self._process = f"{os.getpid()}-{uuid7()}"
        self._actors: deque[str] = deque(maxlen=_MOST_ACTORS)
        self._budgets = BudgetManager(0)
        self.lockdowns: tuple[LockdownNotice, ...] = ()

    @property
    def budgets(self) -> list[BudgetGrant]:
        """What is left of the budgets, less what was used since."""
        return self._budgets.budgets

    def run_started(self, actor_id: str | None) -> None:
        """Take note for whom the agent acts."""
        if actor_id is not None:
            self._actors.append(actor_id)

    @property
    def is_quiet(self) -> bool:
        """Whether there is nothing that a call would have to be held against."""
        return not self.lockdowns and not self._budgets.budgets

    def lockdown_of(self, actor_id: str | None, tool_name: str | None) -> LockdownNotice | None:
        """Return a lockdown that forbids such a call; a *tool_name* of None stands for any tool whatever."""
        return next((each for each in self.lockdowns if _forbids(each, actor_id, tool_name)), None)

    def count(self, request: EvaluateRequest) -> None:
        """Take what a call has used off the budgets."""
        used = request.metrics
        if request.phase == "tool.after":  # those of the arguments were counted before the call
            used = {key: value for key, value in used.items() if key not in _OF_ARGUMENTS}
        actor_id = request.actor.external_id if request.actor else None
        self._budgets.usage(_amounts(self._budgets.budgets, used, actor_id))

    def look_at_status(self, agent_id: str) -> None:
        """
        Ask how the agent stands; where that is news, say at once that it is obeyed.

        Raises:
            ControlPlaneError: Nobody can be asked.
        """
        told = self._obeyed()
        self._look(agent_id)
        if self._obeyed() != told:
            self._look(agent_id)

    def look_at_budgets(self, agent_id: str) -> None:
        """
        Ask what is left of the budgets, if what is known has expired or is used up.

        Raises:
            ControlPlaneError: Nobody can be asked.
        """
        if self._budgets.reevaluate():
            actors = tuple(dict.fromkeys(self._actors.copy()))
            found = self._plane.budgets(agent_id, actors, budget=self._budget)
            self._budgets.update_budgets(found.expires_seconds, found.grants)

    def _look(self, agent_id: str) -> None:
        presence = Presence(process=self._process, host=_host(), obeys=self._obeyed())
        self.lockdowns = self._plane.agent_status(agent_id, presence, budget=self._budget).lockdowns

    def _obeyed(self) -> tuple[str, ...]:
        return tuple(each.id for each in self.lockdowns if each.id is not None)


def _host() -> str:
    # Not `platform`, which takes milliseconds to import; Windows has no `uname`.
    name = os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")
    return name or "unknown"


def _forbids(lockdown: LockdownNotice, actor_id: str | None, tool_name: str | None) -> bool:
    return (
        lockdown.actor in (None, actor_id)
        and (lockdown.tool is None or (tool_name is not None and lockdown.tool.lower() == tool_name.lower()))
        and (lockdown.until_ts is None or lockdown.until_ts > time_ns() // 1_000_000)
    )


def _amounts(budgets: Iterable[BudgetGrant], used: Mapping[str, float], actor_id: str | None) -> dict[str, float]:
    """Return what of *used* each budget is about, by the budgets' ids."""
    amounts = {}
    for each in budgets:
        basis = each.computed if isinstance(each.computed, dict) else {}
        amount = used.get(str(basis.get("metric")))
        if amount is not None and basis.get("actor") in (None, actor_id):
            amounts[each.id] = 1.0 if basis.get("aggregate") == "count" else amount
    return amounts
