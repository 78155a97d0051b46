"""A circuit breaker: when the other side is dead, stop asking it, and look now and then whether it is back."""

from __future__ import annotations

import threading

from handlebar._plumbing.clock import monotonic

FAILURES_TO_OPEN = 5
"""So many failures in a row open the circuit."""

TIMEOUT_WEIGHT = 3
"""A timeout counts for so many failures: it has cost the caller far more."""

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 5.0
"""Seconds until a probe is let through; they double from the first to the longest."""


class Circuit:
    """
    Counts failures, and tells whether a call may be made.

    Thread-safe; belongs to one process. While it is open, one caller at a time is let through as a probe.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures = 0
        self._pause = 0.0
        self._probe_from = 0.0
        self._probing = False

    def may_call(self) -> bool:
        """Whether to make a call now; the caller who is told so while the circuit is open is the probe."""
        if self._failures < FAILURES_TO_OPEN:
            return True
        with self._lock:
            now = monotonic()
            if self._failures >= FAILURES_TO_OPEN and now < self._probe_from:
                return False
            # Whoever comes while this probe is under way waits for the next; a lost probe blocks nobody for long.
            self._probe_from = now + LONGEST_PAUSE
            self._probing = True
            return True

    def succeeded(self) -> None:
        """The other side has answered: the circuit is closed."""
        if self._failures:
            with self._lock:
                self._failures = 0
                self._pause = 0.0
                self._probing = False

    def failed(self, *, weight: int = 1) -> None:
        """A call has failed."""
        with self._lock:
            # Calls that were under way when the circuit opened say nothing new.
            if self._failures >= FAILURES_TO_OPEN and not self._probing:
                return
            self._failures += weight
            if self._failures >= FAILURES_TO_OPEN:
                self._pause = min(LONGEST_PAUSE, self._pause * 2 or FIRST_PAUSE)
                self._probe_from = monotonic() + self._pause
                self._probing = False
