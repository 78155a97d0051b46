"""Exceptions that others throw into our code, and that must reach the code they are meant for."""

from __future__ import annotations

_NAMES = frozenset({"SoftTimeLimitExceeded"})
"""Celery raises it from a signal handler, wherever the task happens to be, and it derives from Exception."""


def is_interrupt(error: Exception) -> bool:
    """Whether *error* was thrown in from outside and must pass through."""
    return any(kind.__name__ in _NAMES for kind in type(error).__mro__)
