"""Times and spans of time as they are given to commands."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

import click

_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_SPAN = re.compile(r"(?:[0-9]{1,9}[dhms])+")


def span_in(text: str) -> timedelta:
    """Read a span such as 30m, 2h or 1d12h."""
    parts = re.findall("([0-9]+)([dhms])", text) if _SPAN.fullmatch(text) else []
    try:
        span = sum((timedelta(**{_UNITS[unit]: int(number)}) for number, unit in parts), timedelta())
    except OverflowError:
        span = timedelta()
    if not span:
        raise click.BadParameter(f"{text!r} is no span of time, such as 30m, 2h or 1d12h")
    return span


def moment_in(text: str) -> datetime:
    """Read a time in ISO 8601 with its time zone."""
    try:
        # Python 3.10 knows no Z.
        read = datetime.fromisoformat(re.sub("[zZ]$", "+00:00", text))
    except ValueError:
        raise click.BadParameter(f"{text!r} is no time in ISO 8601, such as 2026-07-01T18:00Z") from None
    if read.tzinfo is None:
        raise click.BadParameter(f"{text!r} has no time zone; add Z, or one such as +02:00")
    return read


def past_moment(context: click.Context, option: click.Parameter, text: str | None) -> datetime | None:
    """Read a time, or how long ago it was."""
    if text is None:
        return None
    if not _SPAN.fullmatch(text):
        return moment_in(text)
    try:
        return datetime.now(timezone.utc) - span_in(text)
    except OverflowError:
        raise click.BadParameter(f"{text!r} ago is before all times") from None


def span(context: click.Context, option: click.Parameter, text: str | None) -> timedelta | None:
    """Read a span of time."""
    return None if text is None else span_in(text)
