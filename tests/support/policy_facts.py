"""Facts that a test states beforehand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from attrs import Factory, field, frozen

from handlebar.policy.facts import Call, CountQuery, MetricQuery, PastCall, UnavailableError

_T = TypeVar("_T")


@frozen(kw_only=True)
class StatedFacts:
    """
    The answers to all questions of the engine; what is None, or has no key, cannot be had.

    Attributes:
        counts: By the scope of the question.

        metrics: By key.

        signals: By key.

        customs: By name.

        asked: The questions that were put, in order.
    """

    past: tuple[PastCall, ...] | None = ()
    counts: Mapping[str, int] = Factory(dict)
    metrics: Mapping[str, float] = Factory(dict)
    run_time_ms: float | None = None
    signals: Mapping[str, Any] = Factory(dict)
    customs: Mapping[str, bool] = Factory(dict)
    asked: list[tuple[Any, ...]] = field(factory=list, eq=False)

    def past_calls(self) -> Sequence[PastCall]:
        """Return the stated calls."""
        return self._answer(("past_calls",), self.past)

    def count_calls(self, query: CountQuery) -> int:
        """Return the count that is stated for the scope."""
        return self._answer(("count_calls", query), self.counts.get(query.scope))

    def metric(self, query: MetricQuery) -> float:
        """Return the number that is stated for the key."""
        return self._answer(("metric", query), self.metrics.get(query.key))

    def run_tool_time_ms(self) -> float:
        """Return the stated time."""
        return self._answer(("run_tool_time_ms",), self.run_time_ms)

    def signal(self, key: str, args: Mapping[str, Any]) -> Any:
        """Return the value that is stated for the key."""
        return self._answer(("signal", key, dict(args)), self.signals.get(key))

    def custom(self, name: str, args: Mapping[str, Any], call: Call) -> bool:
        """Return what is stated for the name."""
        return self._answer(("custom", name, dict(args)), self.customs.get(name))

    def _answer(self, question: tuple[Any, ...], answer: _T | None) -> _T:
        self.asked.append(question)
        if answer is None:
            raise UnavailableError("not stated")
        return answer
