"""Runs: a list that filters, and pages."""

from __future__ import annotations

from datetime import datetime, timezone

from handlebar.control.browsing import RUN_STATUSES, RunFilter
from handlebar.errors import ConfigError
from handlebar.server.dashboard.pages import Page, Visit, show

_AT_ONCE = 50
_WORDS = ("agent", "actor", "session", "status", "verdict", "rule", "tag")
_TIMES = ("since", "until")


def _runs(visit: Visit) -> str:
    plane = visit.plane
    page = plane.page_of_runs(_wanted(visit), limit=_AT_ONCE, after=visit.argument("cursor"))
    return show(
        "runs.html",
        visit,
        runs=page.items,
        next_cursor=page.next,
        slugs=plane.agent_slugs(),
        statuses=RUN_STATUSES,
        verdicts=("ALLOW", "BLOCK"),
    )


def _wanted(visit: Visit) -> RunFilter:
    words = {name: visit.argument(name) for name in _WORDS}
    times = {name: _moment(name, visit.argument(name)) for name in _TIMES}
    return RunFilter(**words, **times)  # type: ignore[arg-type]  # of two kinds, each where it belongs


def _moment(name: str, text: str | None) -> datetime | None:
    """Return the time that a browser has sent: without a zone, which is said to be UTC."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=timezone.utc) if text else None
    except ValueError:
        raise ConfigError(name, text, "a time such as 2026-07-01T18:00") from None


PAGES = (Page("GET", "/runs", "runs", _runs),)
