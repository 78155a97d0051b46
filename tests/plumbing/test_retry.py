"""How often to try again, and how long to wait before."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from handlebar._plumbing.retry import RetryPolicy, parse_retry_after

seconds = st.floats(0, 1e6)
policies = st.builds(RetryPolicy, retries=st.integers(0, 9), base=seconds, cap=seconds)


def test_waits_double_up_to_the_cap() -> None:
    """The waits of evaluate: 200 ms, doubling, at most five seconds."""
    policy = RetryPolicy(retries=3, base=0.2, cap=5.0)
    assert [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0] == [policy.delay(attempt) for attempt in range(7)]


@given(policies)
def test_so_many_retries_follow_the_first_attempt(policy: RetryPolicy) -> None:
    """Whoever asks after each attempt makes *retries* further ones."""
    attempt = 0
    while policy.allows(attempt):
        attempt += 1
    assert policy.retries == attempt


@given(policies, st.integers(0, 10_000), st.none() | st.floats(allow_nan=False))
def test_no_wait_leaves_its_bounds(policy: RetryPolicy, attempt: int, asked: float | None) -> None:
    """However late the attempt and whatever the other side asked, a wait is neither negative nor above the cap."""
    assert 0.0 <= policy.delay(attempt, asked) <= policy.cap


@given(policies, st.integers(0, 50), seconds)
def test_what_was_asked_counts_where_it_is_longer(policy: RetryPolicy, attempt: int, asked: float) -> None:
    """The other side can make a wait longer, never shorter."""
    own = policy.delay(attempt)
    assert min(policy.cap, max(own, asked)) == policy.delay(attempt, asked)


@given(policies, st.integers(0, 50))
def test_waits_never_become_shorter(policy: RetryPolicy, attempt: int) -> None:
    """A later attempt waits as long as an earlier one, or longer."""
    assert policy.delay(attempt) <= policy.delay(attempt + 1)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("-5", 0.0),
        ("1e999", float("inf")),
        ("1" * 5000, float("inf")),
        ("nan", None),
        ("", None),
        ("soon", None),
        (None, None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Thu, 01 Jan 1970 00:00:00 -0000", 0.0),
        ("Mon, 01 Jan 99999 00:00:00 GMT", None),
        ("Mon, 01 Jan 99999999999999999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 2024 00:00:00 +99999999999999999", None),
        ("Mon, 99 Foo 2024 25:61:00 GMT", None),
    ],
)
def test_retry_after(header: str | None, expected: float | None) -> None:
    """Seconds and dates are read, what lies in the past is zero, and nonsense says nothing."""
    assert expected == parse_retry_after(header)


def test_a_date_ahead_is_so_many_seconds_away() -> None:
    """A date is counted from now by the wall clock."""
    date = datetime.now(timezone.utc) + timedelta(hours=1)
    asked = parse_retry_after(format_datetime(date, usegmt=True))
    assert asked is not None
    assert 3590 < asked <= 3600


@given(st.text() | st.from_regex(r"\AMon, [0-9]{1,30} Jan [0-9]{1,30} [0-9]{1,30}:00:00 [+-]?[0-9]{1,30}\Z"))
@example("Mon, 01 Jan 0001 00:00:00 +2359")
def test_any_header_gives_seconds_or_nothing(header: str) -> None:
    """Whatever a server sends, no header makes an error, a negative wait or a NaN."""
    asked = parse_retry_after(header)
    assert asked is None or asked >= 0.0
