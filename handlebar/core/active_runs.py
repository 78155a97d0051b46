"""The runs of a client that have not ended, by id."""

from __future__ import annotations

import threading
from collections import OrderedDict

from handlebar._plumbing import exiting, logs
from handlebar.core.run import Run

MAX_ACTIVE = 10_000
"""Runs that are never ended are forgotten, oldest first, beyond this number; whoever holds one can go on with it."""


_WAYS = "end runs by `with client.run(...)` or end_sync(), or give them a run_ttl_ms"


class ActiveRuns:
    """Finds a run by its id while it is active, and tells of those that nobody ends; thread-safe, bounded."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: OrderedDict[str, Run] = OrderedDict()
        self._told = False
        exiting.close_at_exit(self)

    def get(self, run_id: str) -> Run | None:
        """Return the active run of that id."""
        with self._lock:
            return self._runs.get(run_id)

    def add(self, run: Run) -> Run:
        """Keep *run*, unless one of the same id is active: then return that one."""
        with self._lock:
            kept = self._runs.setdefault(run.run_id, run)
            forgotten = len(self._runs) > MAX_ACTIVE and self._runs.popitem(last=False)
        if forgotten:
            logs.warn_once_a_minute("active_runs", "More than %d runs were never ended; " + _WAYS, MAX_ACTIVE)
        return kept

    def remove(self, run: Run) -> None:
        """Forget *run*."""
        with self._lock:
            if self._runs.get(run.run_id) is run:
                del self._runs[run.run_id]

    def close_soon(self) -> None:
        """Tell, once, how many runs nobody has ended; takes no lock, so that a signal handler may close a client."""
        left, self._told = 0 if self._told else len(self._runs), True
        if left:
            logs.warn_once_a_minute("runs_left", "%d run(s) had not ended when their client closed; " + _WAYS, left)

    def close(self) -> None:
        """Do nothing more: there is nothing to wait for."""

    def __len__(self) -> int:
        with self._lock:
            return len(self._runs)
