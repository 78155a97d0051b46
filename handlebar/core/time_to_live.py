"""The time that a run has, if somebody has set one."""

from __future__ import annotations

from collections.abc import Callable

from handlebar._plumbing import timers
from handlebar._plumbing.clock import Deadline


class TimeToLive:
    """
    Says when a run's time is over, and has a timer that ends it then, if nobody looks before.

    Lives as long as its run; thread-safe.

    Args:
        ttl_ms: Milliseconds from now; None for no end.

        expire: Ends the run; called by the timer.
    """

    def __init__(self, ttl_ms: float | None, expire: Callable[[], object]) -> None:
        self._end: Deadline | None = None
        self._timer: timers.Timer | None = None
        if ttl_ms is not None:
            self._end = Deadline.after(ttl_ms / 1000)
            self._timer = timers.schedule(ttl_ms / 1000, expire)

    @property
    def is_over(self) -> bool:
        """Whether that time has come; the timer may be late, and a child of a fork has none."""
        return self._end is not None and self._end.passed

    def cancel(self) -> None:
        """Call the timer off: the run has ended, or is left as it is."""
        if self._timer is not None:
            self._timer.cancel()
