"""How often to try again, and how long to wait before."""

from __future__ import annotations

from datetime import datetime, timezone

from attrs import frozen


@frozen
class RetryPolicy:
    """
    Waits that double from *base* seconds up to *cap* seconds, *retries* times.

    Attributes:
        retries: How many further attempts follow the first.
    """

    retries: int
    base: float
    cap: float

    def allows(self, attempt: int) -> bool:
        """Whether another attempt may follow the one numbered *attempt*, from 0."""
        return attempt < self.retries

    def delay(self, attempt: int, retry_after: float | None = None) -> float:
        """Return the seconds to wait after *attempt*; what the other side asked for, where that is longer."""
        # No power of two above this one is below any sensible cap.
        doubled = self.base * 2.0 ** min(attempt, 32)
        return float(min(self.cap, max(doubled, retry_after or 0.0)))


def parse_retry_after(header: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for, never below zero; None where it says nothing usable."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        seconds = _seconds_until(header)
    # A NaN is no number of seconds, and differs from itself.
    return max(0.0, seconds) if seconds == seconds else None


def _seconds_until(date: str) -> float:
    """Return the seconds from now to an HTTP *date*, by the wall clock, which is what the header goes by."""
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(date)
    except (TypeError, ValueError, OverflowError):
        return float("nan")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return (moment - datetime.now(timezone.utc)).total_seconds()
