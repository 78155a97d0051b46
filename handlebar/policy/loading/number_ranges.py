"""Ranges of numbers that comparisons leave over."""

from __future__ import annotations

import math


class NumberRange:
    """The numbers that meet all comparisons so far; of one checking only."""

    def __init__(self) -> None:
        # A bound is (number, 1 or -1 where the number itself lies outside).
        self._low: tuple[float, int] = (-math.inf, 0)
        self._high: tuple[float, int] = (math.inf, 0)
        self._holes: set[float] = set()

    def narrow(self, op: str, number: float) -> None:
        """Leave only the numbers that compare so with *number*."""
        if op == "neq":
            self._holes.add(number)
        if op in ("gt", "gte", "eq"):
            self._low = max(self._low, (number, 1 if op == "gt" else 0))
        if op in ("lt", "lte", "eq"):
            self._high = min(self._high, (number, -1 if op == "lt" else 0))

    def is_empty(self) -> bool:
        """Whether no number is left."""
        (low, above), (high, below) = self._low, self._high
        is_point = low == high and above == below == 0
        return self._low > self._high or (is_point and low in self._holes)
