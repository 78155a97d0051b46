"""The ends of Celery's processes: those of its pool run no exit handlers."""

from __future__ import annotations

from handlebar._plumbing import logs
from handlebar._plumbing.time_limits import CallError, call_within
from handlebar.integrations.serving.clients import drain_all

SECONDS = 2.0
"""So long a process waits at its end for its last events; Celery's own patience is short, too."""


def drain() -> None:
    """Wait until every client's events are delivered, two seconds at most."""
    try:
        call_within(drain_all, timeout_seconds=SECONDS)
    except CallError:
        logs.warn_once_a_minute("celery:leaving", "Events were still on their way when a process of Celery's ended")
