"""Budgets: how much of a metric the control plane has granted, and when to ask it again."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import evolve, field, frozen

from handlebar._plumbing.clock import Deadline
from handlebar._plumbing.forking import PerProcess
from handlebar.core.schema import checks


@frozen
class BudgetGrant:
    """
    What is left of one budget.

    Attributes:
        id: The budget's id.

        decision: What the control plane says of it: `allow`, `block` or `defer`.

        grant: How much may still be used; None for any amount.

        computed: What the control plane computed it from.

        expires_seconds: How long this grant holds, counted from when it was given.
    """

    id: str = field(validator=checks.filled_text)
    decision: str = field(validator=checks.text)
    grant: float | None = field(default=None, validator=checks.optional(checks.number()))
    computed: Any = None
    expires_seconds: float | None = field(default=None, validator=checks.optional(checks.number(at_least=0)))


class BudgetManager:
    """
    Keeps the grants of one agent and counts their use; lives as long as the client.

    Thread-safe and fork-safe. Time goes by the monotonic clock.

    Args:
        global_ttl_seconds: How long all grants hold.

        budgets: The grants to begin with.
    """

    def __init__(self, global_ttl_seconds: float = 60, budgets: Iterable[BudgetGrant] | None = None) -> None:
        # Keyed by process, because a fork's child would inherit the lock as it is, held or not.
        self._lock: PerProcess[threading.RLock] = PerProcess(threading.RLock)
        self.update_budgets(global_ttl_seconds, budgets or ())

    @property
    def budgets(self) -> list[BudgetGrant]:
        """The grants, less what has been used."""
        return list(self._budgets)

    def update_budgets(self, ttl_seconds: float, new_budgets: Iterable[BudgetGrant]) -> None:
        """Replace all grants by fresh ones."""
        fresh = tuple(new_budgets)
        with self._lock.get():
            self._budgets = fresh
            self._expiry = Deadline.after(min([ttl_seconds, *_own_limits(fresh)]))

    def usage(self, amounts: Mapping[str, float]) -> None:
        """Take *amounts*, by budget id, off the grants; unknown ids are no matter."""
        with self._lock.get():
            self._budgets = tuple(_less(budget, amounts.get(budget.id)) for budget in self._budgets)

    def reevaluate(self) -> bool:
        """Whether it is time to ask the control plane: a grant has expired or is used up."""
        return self._expiry.passed or any(_used_up(budget) for budget in self._budgets)


def _own_limits(budgets: Iterable[BudgetGrant]) -> list[float]:
    return [budget.expires_seconds for budget in budgets if budget.expires_seconds is not None]


def _less(budget: BudgetGrant, amount: float | None) -> BudgetGrant:
    if budget.grant is None or amount is None:
        return budget
    return evolve(budget, grant=budget.grant - amount)


def _used_up(budget: BudgetGrant) -> bool:
    return budget.grant is not None and budget.grant <= 0
