"""What a condition can answer: true, false, or that a value it needs is missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Union

from attrs import frozen

from handlebar.core.schema.rules import Effect
from handlebar.policy.facts import Call, Facts, UnavailableError


@frozen
class Missing:
    """A value that a condition needs cannot be had; *on_missing* is what that condition says then."""

    on_missing: Effect | None = None


Answer = Union[bool, Missing]
Test = Callable[[Call, Facts], Answer]
"""A condition, compiled."""


def sure(test: Callable[[Call], bool]) -> Test:
    """Return a test that needs nothing but the call, and so always knows, as one that is told of facts too."""
    return lambda call, facts: test(call)


def asking(test: Callable[[Call, Facts], object], *, on_missing: Effect | None = None) -> Test:
    """Return *test* as one that answers `Missing` where the facts that it asks for cannot be had."""
    missing = Missing(on_missing)

    def answer(call: Call, facts: Facts) -> Answer:
        try:
            return bool(test(call, facts))
        except UnavailableError:
            return missing

    return answer


def all_of(tests: tuple[Test, ...]) -> Test:
    """Return a test that one false answer makes false, whatever is missing beside it."""
    return _search(tests, decisive=False)


def any_of(tests: tuple[Test, ...]) -> Test:
    """Return a test that one true answer makes true, whatever is missing beside it."""
    return _search(tests, decisive=True)


def negated(test: Test) -> Test:
    """Return a test that turns true and false round; what is missing stays missing."""

    def answer(call: Call, facts: Facts) -> Answer:
        inner = test(call, facts)
        return inner if isinstance(inner, Missing) else not inner

    return answer


def _search(tests: tuple[Test, ...], *, decisive: bool) -> Test:
    def answer(call: Call, facts: Facts) -> Answer:
        missing: Any = None
        for test in tests:
            inner = test(call, facts)
            if inner is decisive:
                return decisive
            if missing is None and isinstance(inner, Missing):
                missing = inner
        return not decisive if missing is None else missing

    return answer
