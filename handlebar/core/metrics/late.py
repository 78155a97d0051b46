"""Metrics that came too late for the tool call that they belong to, kept for the run's next one."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from handlebar._plumbing.forking import PerProcess
from handlebar.core.schema.metrics import MetricInfo


class _Kept:
    """What one process keeps; the lock is re-entrant, because collecting garbage may run anybody's code."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.by_run: WeakKeyDictionary[Any, dict[str, MetricInfo]] = WeakKeyDictionary()


class LateMetrics:
    """Keeps metrics by run, the latest of each key, as long as the run is alive; thread-safe, fork-safe."""

    def __init__(self) -> None:
        self._kept: PerProcess[_Kept] = PerProcess(_Kept)

    def add(self, run: Any, key: str, metric: MetricInfo) -> None:
        """Keep *metric* until *run* asks for it."""
        kept = self._kept.get()
        with kept.lock:
            kept.by_run.setdefault(run, {})[key] = metric

    def take(self, run: Any) -> Mapping[str, MetricInfo]:
        """Return what is kept for *run*, and keep it no more."""
        kept = self._kept.peek()
        if kept is None or not kept.by_run:
            return {}
        with kept.lock:
            return kept.by_run.pop(run, {})
