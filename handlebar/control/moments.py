"""Times as the database keeps them: microseconds since 1970."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def moment(microseconds: int) -> datetime:
    """Return the time as an aware datetime in UTC."""
    return _EPOCH + timedelta(microseconds=microseconds)


def microseconds(when: datetime) -> int:
    """Return an aware time as microseconds since 1970."""
    return (when - _EPOCH) // timedelta(microseconds=1)
