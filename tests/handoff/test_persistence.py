"""Whether a call is made again, and when."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlebar.errors import UnreachableError
from handlebar.handoff.exchange import Answer
from handlebar.handoff.persistence import LONGEST_WAIT, Persistence, may_have_arrived

USUAL = Persistence(timeout=30.0, retries=3, delay=0.5)
GONE = UnreachableError("gone", reason="network")
statuses = st.integers(100, 599)
reasons = st.sampled_from(["network", "refused", "timeout", "tls", "database"])
outcomes = st.builds(lambda status: Answer(status, {}, b""), statuses) | st.builds(
    lambda reason: UnreachableError("x", reason=reason), reasons
)


@given(st.integers(0, 9), st.booleans())
def test_waits_double_with_jitter(attempt: int, repeatable: bool) -> None:
    """Each lies between the half and the whole of its doubled delay, and there are no more than there are retries."""
    wait = USUAL.wait_after(UnreachableError("no", reason="refused"), attempt, repeatable=repeatable)
    if attempt < 3:
        assert wait is not None
        assert 0.25 * 2**attempt <= wait <= 0.5 * 2**attempt
    else:
        assert wait is None


def test_waits_differ() -> None:
    """Clients that failed together do not come back together."""
    assert 1 < len({USUAL.wait_after(GONE, 2, repeatable=True) for _ in range(20)})


def test_waits_have_a_limit() -> None:
    """However many there are."""
    wait = Persistence(timeout=1, retries=100, delay=1).wait_after(GONE, 99, repeatable=True)
    assert wait is not None
    assert wait <= LONGEST_WAIT


@given(outcomes, st.integers(0, 2))
def test_what_cannot_be_repeated_is_not(outcome: Answer | UnreachableError, attempt: int) -> None:
    """Unless it is certain that nothing was done: nobody listened, or it was one request too many."""
    wait = USUAL.wait_after(outcome, attempt, repeatable=False)
    if wait is not None:
        assert isinstance(outcome, UnreachableError)
        assert "refused" == outcome.reason


@given(outcomes)
def test_what_was_refused_has_not_arrived(outcome: Answer | UnreachableError) -> None:
    """Only where nobody answered, or who stands between, nobody knows."""
    expected = outcome.status in (502, 503, 504) if isinstance(outcome, Answer) else outcome.reason != "refused"
    assert expected == may_have_arrived(outcome)


@pytest.mark.parametrize("status", [429, 503])
def test_servers_may_ask_for_more_time(status: int) -> None:
    """They know best."""
    assert 45.0 == USUAL.wait_after(Answer(status, {"retry-after": "45"}, b""), 0, repeatable=True)


def test_the_budget() -> None:
    """It is what all attempts and waits can take, unless the caller says less."""
    assert 4 * 30 + 0.5 + 1 + 2 == USUAL.budget
    assert 7.0 == Persistence(timeout=30, retries=3, delay=0.5, total=7.0).budget
