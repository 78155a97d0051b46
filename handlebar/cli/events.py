"""Audit events on one line each."""

from __future__ import annotations

from typing import Any

from handlebar.control.audit import StoredEvent

_MESSAGES = (("message",), ("error", "message"), ("content",), ("summary",))
"""Where the kinds of events have what they tell people."""

_VERDICTS = (("verdict",), ("outcome",), ("status",), ("role",))
"""Where the kinds of events have the one word that sums them up."""


def entry(event: StoredEvent) -> tuple[object, ...]:
    """Return an event's time, kind, tool, verdict and message."""
    body = event.read()
    tool = _within(body, "data", "tool", "name")
    return event.ts, event.kind, tool, _first(body, _VERDICTS), _first(body, _MESSAGES)


def _first(body: Any, places: tuple[tuple[str, ...], ...]) -> Any:
    """Return what stands at the first of *places* that holds something."""
    return next((found for place in places if (found := _within(body, "data", *place)) is not None), None)


def _within(value: Any, *path: str) -> Any:
    """Return what stands at *path*; events that others have sent may be of any form."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value
