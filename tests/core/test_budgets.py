"""Budgets: what is granted, what is used, when to ask again."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlebar._plumbing import clock as clocks
from handlebar.core.budgets import BudgetGrant, BudgetManager
from handlebar.errors import ConfigError
from tests.support.clock import Clock
from tests.support.forks import in_child


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the clock that deadlines go by."""
    clock = Clock()
    monkeypatch.setattr(clocks, "monotonic", clock)
    return clock


def test_grants_hold_for_their_time(clock: Clock) -> None:
    """Until the time is over nobody is asked, then it is time to ask."""
    manager = BudgetManager(60, [BudgetGrant("usd", "allow", 5)])
    clock.now += 59.9
    assert not manager.reevaluate()
    clock.now += 0.1
    assert manager.reevaluate()


def test_the_shortest_time_counts(clock: Clock) -> None:
    """A grant's own time may be shorter than that of all, never longer."""
    manager = BudgetManager(
        60, [BudgetGrant("a", "allow", 5, expires_seconds=10), BudgetGrant("b", "allow", 5, expires_seconds=600)]
    )
    clock.now += 9.9
    assert not manager.reevaluate()
    clock.now += 0.1
    assert manager.reevaluate()
    manager.update_budgets(60, [BudgetGrant("b", "allow", 5, expires_seconds=600)])
    clock.now += 60
    assert manager.reevaluate()


def test_without_grants_only_time_counts(clock: Clock) -> None:
    """An agent without budgets asks when the time is over."""
    manager = BudgetManager()
    assert [] == manager.budgets
    assert not manager.reevaluate()
    clock.now += 60
    assert manager.reevaluate()


def test_what_is_used_is_taken_off(clock: Clock) -> None:
    """By id; ids that nobody knows, and grants of any amount, are left alone."""
    endless = BudgetGrant("endless", "allow")
    manager = BudgetManager(60, [BudgetGrant("usd", "allow", 5), BudgetGrant("calls", "allow", 3), endless])
    manager.usage({"usd": 2.5, "nobody": 7, "endless": 100})
    assert [BudgetGrant("usd", "allow", 2.5), BudgetGrant("calls", "allow", 3), endless] == manager.budgets
    assert not manager.reevaluate()


@pytest.mark.parametrize("amount", [5, 5.5])
def test_a_grant_that_is_used_up_is_a_reason_to_ask(clock: Clock, amount: float) -> None:
    """Fresh grants put an end to that."""
    manager = BudgetManager(60, [BudgetGrant("usd", "allow", 5), BudgetGrant("calls", "allow", 3)])
    manager.usage({"usd": amount})
    assert manager.reevaluate()
    manager.update_budgets(60, [BudgetGrant("usd", "allow", 5)])
    assert [BudgetGrant("usd", "allow", 5)] == manager.budgets
    assert not manager.reevaluate()


@given(
    st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(0, 50), max_size=3), max_size=8), st.integers(1, 99)
)
def test_the_books_balance(usages: list[dict[str, int]], grant: int) -> None:
    """What is left is the grant less all that was used, and it is time to ask exactly when one is used up."""
    manager = BudgetManager(3600, [BudgetGrant(name, "allow", grant) for name in "ab"])
    for usage in usages:
        manager.usage(usage)
    left = {name: grant - sum(usage.get(name, 0) for usage in usages) for name in "ab"}
    assert left == {budget.id: budget.grant for budget in manager.budgets}
    assert (min(left.values()) <= 0) == manager.reevaluate()


def test_the_list_is_a_copy() -> None:
    """Whoever changes it changes no budget."""
    manager = BudgetManager(60, [BudgetGrant("usd", "allow", 5)])
    manager.budgets.clear()
    assert 1 == len(manager.budgets)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"id": ""}, "id"),
        ({"decision": None}, "decision"),
        ({"grant": "5"}, "grant"),
        ({"grant": float("nan")}, "grant"),
        ({"expires_seconds": -1}, "expires_seconds"),
    ],
)
def test_a_grant_is_checked(fields: dict[str, Any], name: str) -> None:
    """Every field has its check, and the error names it."""
    with pytest.raises(ConfigError, match=rf"BudgetGrant\.{name}"):
        BudgetGrant(**{"id": "usd", "decision": "allow", **fields})


def test_no_thread_loses_a_usage() -> None:
    """Four threads use one budget, and all of it is counted."""
    manager = BudgetManager(3600, [BudgetGrant("n", "allow", 10_000)])

    def work() -> None:
        for _ in range(500):
            manager.usage({"n": 1})

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [8000] == [budget.grant for budget in manager.budgets]


def test_a_fork_while_somebody_uses_harms_nobody() -> None:
    """The child does not inherit a lock that nobody will give back."""
    manager = BudgetManager(3600, [BudgetGrant("n", "allow", 5)])
    done = threading.Event()

    def work() -> None:
        while not done.is_set():
            manager.usage({"other": 1})

    def child() -> str:
        manager.usage({"n": 2})
        return str([budget.grant for budget in manager.budgets])

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(5):
            assert "[3]" == in_child(child)
    finally:
        done.set()
        thread.join()
