"""Conditions on the hour and the day of the week."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from handlebar.core.schema.rules import TimeGateCondition, TimeWindow, TimeZoneSource
from handlebar.policy.answers import Test, sure
from handlebar.policy.facts import Call

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

WindowTest = Callable[[int, int], bool]
"""Whether a day of the week (Monday is 0) and a minute of that day lie in a window."""


def time_gate_test(condition: TimeGateCondition) -> Test:
    """Compile a condition on the time of day; where no time zone is known it is never met."""
    zone_of = _zone_reader(condition.timezone)
    windows = tuple(_window_test(window) for window in condition.windows)

    def is_open(call: Call) -> bool:
        zone = zone_of(call)
        return zone is not None and _in_one(windows, call.now.astimezone(zone))

    return sure(is_open)


def _zone_reader(source: TimeZoneSource) -> Callable[[Call], ZoneInfo | None]:
    if source.source == "static":
        fixed = _zone(source.tz or "")
        return lambda call: fixed
    tag, fallback = source.tag or "", source.tz or "UTC"
    if source.fallback is None:
        fallback = ""
    return lambda call: _zone(_tag(call, tag) or fallback)


def _tag(call: Call, tag: str) -> str | None:
    metadata = call.actor.metadata if call.actor else None
    return metadata.get(tag) if metadata else None


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo | None:
    """Return the time zone *name*; None where there is none of that name."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown; not the form of a name; a folder of zones
        return None


def _in_one(windows: tuple[WindowTest, ...], local: datetime) -> bool:
    day, minute = local.weekday(), local.hour * 60 + local.minute
    return any(window(day, minute) for window in windows)


def _window_test(window: TimeWindow) -> WindowTest:
    """Return a test of *window*, its last minute included; one past midnight belongs to the day it starts on."""
    days = frozenset(DAYS.index(day) for day in window.days)
    start, end = _minute(window.start), _minute(window.end)
    if start <= end:
        return lambda day, minute: day in days and start <= minute <= end
    eves = frozenset((day + 1) % 7 for day in days)
    return lambda day, minute: (day in days and minute >= start) or (day in eves and minute <= end)


def _minute(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)
