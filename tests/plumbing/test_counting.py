"""Counts without a lock."""

from __future__ import annotations

import threading
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from handlebar._plumbing.counting import Count, Tally


@given(st.lists(st.integers(0, 50)))
def test_a_count_is_the_sum_of_its_steps(numbers: list[int]) -> None:
    """Steps add up, and looking does not move them on."""
    count = Count()
    for number in numbers:
        count.add(number)
        assert count.value == count.value
    assert sum(numbers) == count.value


def test_a_step_tells_its_own_number() -> None:
    """Each step is numbered from 0, once."""
    count = Count()
    assert [0, 1, 2] == [count.step() for _ in range(3)]


def test_no_thread_loses_a_step() -> None:
    """Eight threads that count at once lose nothing."""
    tally = Tally()
    start = threading.Barrier(8)

    def work(number: int) -> None:
        start.wait()
        for _ in range(500):
            tally.came_in.step()
            tally.send(1)
            tally.turn_away(f"reason-{number % 3}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 8000 == tally.came_in.value
    assert 4000 == tally.sent
    assert {"reason-0": 1500, "reason-1": 1500, "reason-2": 1000} == tally.dropped
    assert 0 == tally.waiting


@given(st.lists(st.sampled_from(["in", "sent", "late", "full", "away"])))
def test_the_books_balance(steps: list[str]) -> None:
    """What came in is sent, dropped by reason, or waits; what waits is never below zero."""
    tally = Tally()
    acts = {
        "in": tally.came_in.step,
        "sent": lambda: tally.send(1),
        "late": lambda: tally.drop("late"),
        "full": lambda: tally.drop("full"),
        "away": lambda: tally.turn_away("away"),
    }
    for step in steps:
        acts[step]()
    seen = Counter(steps)
    came_in = seen["in"] + seen["away"]
    assert came_in == tally.came_in.value
    assert seen["sent"] == tally.sent
    assert {reason: seen[reason] for reason in ("late", "full", "away") if seen[reason]} == tally.dropped
    assert max(0, came_in - seen["sent"] - seen["late"] - seen["full"] - seen["away"]) == tally.waiting


def test_what_is_handed_out_is_a_copy() -> None:
    """Whoever changes the dict of drops changes no count."""
    tally = Tally()
    tally.drop("late", 3)
    tally.dropped.clear()
    assert {"late": 3} == tally.dropped
