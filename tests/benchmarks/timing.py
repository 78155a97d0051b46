"""Medians of calls, measured in interleaved rounds, so that a busy moment hits every arm alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

ROUNDS = 7

Arm = Callable[[int], float]
"""Makes so many calls, and returns the median of their times in microseconds."""


def arm(call: Callable[[], object]) -> Arm:
    """Return what times *call*."""

    def measure(calls: int) -> float:
        times = []
        for _ in range(calls):
            began = time.perf_counter()
            call()
            times.append(time.perf_counter() - began)
        return statistics.median(times) * 1e6

    return measure


def medians(arms: Mapping[str, Arm], *, calls: int) -> dict[str, float]:
    """Return the median of each arm's rounds, in microseconds a call."""
    for measure in arms.values():
        measure(max(1, calls // 10))
    rounds = [{name: measure(calls) for name, measure in arms.items()} for _ in range(ROUNDS)]
    return {name: statistics.median(each[name] for each in rounds) for name in arms}
