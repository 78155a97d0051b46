"""The first page: what agents did, what waits for a person, what is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import add
from typing import Any

from attrs import frozen

from handlebar.control.moments import moment
from handlebar.control.usage import Usage, UsageOf, this_hour
from handlebar.server.dashboard import charts
from handlebar.server.dashboard.pages import Page, Visit, show

_HOUR = 3600 * 10**6
_DAYS = {"1": 1, "7": 7, "30": 30}
_CHARTS = ("decisions", "tokens", "cost")


@frozen
class Span:
    """
    The hours that are looked at.

    Attributes:
        step: So many of them make one bar of a chart.
    """

    days: int
    first: int
    last: int
    step: int


def _overview(visit: Visit) -> str:
    span = _span(visit)
    plane = visit.plane
    bars = _bars(plane.usage_by_hour(since_hour=span.first), span)
    return show(
        "overview.html",
        visit,
        span=span,
        days=_DAYS,
        total=_total(usage for _, usage in bars),
        bars=bars,
        agents=plane.usage_by_agent(since_hour=span.first),
        slugs=plane.agent_slugs(),
        actors=plane.usage_by_actor(since_hour=span.first),
        waiting=visit.inbox.waiting(limit=5),
        lockdowns=plane.lockdowns(),
    )


def _chart(visit: Visit) -> Any:
    span = _span(visit)
    bars = _bars(visit.plane.usage_by_hour(since_hour=span.first), span)
    name = visit.names["name"]
    series: dict[str, list[float]] = {
        "tokens": {
            "read": [usage.tokens_in for _, usage in bars],
            "written": [usage.tokens_out for _, usage in bars],
        },
        "cost": {"US dollars": [usage.cost_usd for _, usage in bars]},
    }.get(
        name,
        {
            "allowed": [usage.allowed for _, usage in bars],
            "blocked": [usage.blocked for _, usage in bars],
            "asked a person": [usage.waiting for _, usage in bars],
        },
    )  # type: ignore[assignment]  # whole numbers are numbers
    return charts.stacked_bars([label for label, _ in bars], series, dark=visit.argument("dark") is not None)


def _span(visit: Visit) -> Span:
    days = _DAYS.get(visit.argument("days") or "1", 1)
    last = this_hour()
    return Span(days, last - days * 24 + 1, last, {1: 1, 7: 6, 30: 24}[days])


def _total(parts: Iterable[Usage]) -> Usage:
    return reduce(add, parts, Usage())


def _bars(hours: list[UsageOf], span: Span) -> list[tuple[str, Usage]]:
    """Return label and sum of each bar, oldest first; hours in which nothing was done are there too."""
    known = {int(each.whose): each.usage for each in hours}
    bars = []
    for start in range(span.first, span.last + 1, span.step):
        parts = [known.get(hour, Usage()) for hour in range(start, start + span.step)]
        form = "%H:%M" if span.step == 1 else "%d %b %H:%M" if span.step < 24 else "%d %b"
        bars.append((moment(start * _HOUR).strftime(form), _total(parts)))
    return bars


PAGES = (
    Page("GET", "/", "overview", _overview),
    Page("GET", "/charts/<name>.svg", "chart", _chart),
)
