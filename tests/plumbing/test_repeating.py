"""What is done again and again."""

from __future__ import annotations

from handlebar._plumbing.repeating import Repeating
from tests.support.forks import in_child
from tests.support.waiting import eventually


def test_it_goes_on_whatever_the_call_raises() -> None:
    """A call that fails is made again; after `stop` it is made no more, until `start`."""
    calls: list[int] = []

    def call() -> None:
        calls.append(1)
        raise ValueError

    repeating = Repeating(0.01, call)
    repeating.stop()
    for _ in range(2):
        calls.clear()
        repeating.start()
        repeating.start()
        assert eventually(lambda: len(calls) >= 3)
        repeating.stop()
    # One may have been under way.
    begun = len(calls)
    assert not eventually(lambda: len(calls) > begun + 1, seconds=0.1)


def test_a_child_begins_for_itself() -> None:
    """A fork's child makes no calls before it has been started there."""
    calls: list[int] = []
    repeating = Repeating(0.01, lambda: calls.append(1))
    repeating.start()

    def child() -> str:
        calls.clear()
        before = eventually(lambda: bool(calls), seconds=0.1)
        repeating.start()
        return f"{before} {eventually(lambda: bool(calls))}"

    assert "False True" == in_child(child)
    repeating.stop()
