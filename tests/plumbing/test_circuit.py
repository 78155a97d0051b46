"""A circuit breaker."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlebar._plumbing import circuit as circuits
from handlebar._plumbing.circuit import FAILURES_TO_OPEN, FIRST_PAUSE, LONGEST_PAUSE, TIMEOUT_WEIGHT, Circuit
from tests.support.clock import Clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the circuits' clock."""
    clock = Clock()
    monkeypatch.setattr(circuits, "monotonic", clock)
    return clock


def _open(failures: int = FAILURES_TO_OPEN) -> Circuit:
    circuit = Circuit()
    for _ in range(failures):
        circuit.failed()
    return circuit


def test_a_few_failures_leave_it_closed(clock: Clock) -> None:
    """Below the limit every call is made."""
    circuit = _open(FAILURES_TO_OPEN - 1)
    assert [True] * 10 == [circuit.may_call() for _ in range(10)]


def test_failures_in_a_row_open_it(clock: Clock) -> None:
    """At the limit no call is made until the first pause is over."""
    circuit = _open()
    assert not circuit.may_call()
    clock.now += FIRST_PAUSE - 0.001
    assert not circuit.may_call()


def test_only_failures_in_a_row_count(clock: Clock) -> None:
    """A success between failures starts the count again."""
    circuit = Circuit()
    for _ in range(5):
        for _ in range(FAILURES_TO_OPEN - 1):
            circuit.failed()
        circuit.succeeded()
    assert circuit.may_call()


def test_timeouts_weigh_more(clock: Clock) -> None:
    """Two timeouts are enough."""
    circuit = Circuit()
    circuit.failed(weight=TIMEOUT_WEIGHT)
    assert circuit.may_call()
    circuit.failed(weight=TIMEOUT_WEIGHT)
    assert not circuit.may_call()


def test_one_probe_at_a_time(clock: Clock) -> None:
    """After the pause one caller is let through, all others wait for what becomes of it."""
    circuit = _open()
    clock.now += FIRST_PAUSE
    assert [True, False, False] == [circuit.may_call() for _ in range(3)]


def test_one_of_many_threads_is_the_probe(clock: Clock) -> None:
    """However many threads come when the pause is over, one probes."""
    circuit = _open()
    clock.now += FIRST_PAUSE
    start = threading.Barrier(8)

    def ask(_: int) -> bool:
        start.wait()
        return circuit.may_call()

    with ThreadPoolExecutor(8) as pool:
        assert 1 == sum(pool.map(ask, range(8)))


def test_a_probe_that_succeeds_closes_it(clock: Clock) -> None:
    """One answer is enough, and the next opening begins with the first pause again."""
    circuit = _open()
    clock.now += FIRST_PAUSE
    assert circuit.may_call()
    circuit.succeeded()
    assert [True, True] == [circuit.may_call() for _ in range(2)]
    for _ in range(FAILURES_TO_OPEN):
        circuit.failed()
    assert not circuit.may_call()
    clock.now += FIRST_PAUSE
    assert circuit.may_call()


def test_pauses_double_to_the_longest(clock: Clock) -> None:
    """Each probe that fails makes the next pause twice as long, up to five seconds."""
    circuit = _open()
    pauses = []
    for _ in range(6):
        began = clock.now
        while not circuit.may_call():
            clock.now += 0.25
        pauses.append(clock.now - began)
        circuit.failed()
    assert [0.5, 1.0, 2.0, 4.0, 5.0, 5.0] == pauses


def test_a_lost_probe_does_not_block_for_ever(clock: Clock) -> None:
    """A probe whose thread died is followed by another after the longest pause."""
    circuit = _open()
    clock.now += FIRST_PAUSE
    assert circuit.may_call()
    clock.now += LONGEST_PAUSE
    assert circuit.may_call()


@given(st.lists(st.sampled_from(["failed", "timeout", "succeeded", "ask"])))
def test_whatever_happened_a_call_is_made_within_the_longest_pause(steps: list[str]) -> None:
    """No history of answers and failures closes the door for longer than five seconds."""
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock()
        patch.setattr(circuits, "monotonic", clock)
        circuit = Circuit()
        acts = {
            "failed": circuit.failed,
            "timeout": lambda: circuit.failed(weight=TIMEOUT_WEIGHT),
            "succeeded": circuit.succeeded,
            "ask": circuit.may_call,
        }
        for step in steps:
            acts[step]()
            clock.now += 0.1
        clock.now += LONGEST_PAUSE
        assert circuit.may_call()
        circuit.succeeded()
        assert [True] * 3 == [circuit.may_call() for _ in range(3)]
