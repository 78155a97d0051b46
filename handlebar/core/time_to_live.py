"""The time that a run has, if somebody has set one."""

from __future__ import annotations

from collections.abc import Callable

from handlebar._plumbing import timers
from handlebar._plumbing.clock import Deadline


class TimeToLive:
    """
    Ends a run when its time is over: by a timer, or at the next look, whichever comes first.

    Lives as long as its run; thread-safe.

    Args:
        ttl_ms: Milliseconds from now; None for no end.

        expire: Ends the run; may be called more than once.
    """

    def __init__(self, ttl_ms: float | None, expire: Callable[[], object]) -> None:
        self._limit: tuple[Deadline, Callable[[], object], timers.Timer] | None = None
        if ttl_ms is not None:
            seconds = ttl_ms / 1000
            self._limit = Deadline.after(seconds), expire, timers.schedule(seconds, expire)

    def look(self) -> None:
        """End the run, if it is time and the timer has not come to it yet."""
        if self._limit is not None:
            end, expire, _ = self._limit
            if end.passed:
                expire()

    def cancel(self) -> None:
        """Call the timer off: the run has ended, or is left as it is."""
        if self._limit is not None:
            self._limit[2].cancel()
