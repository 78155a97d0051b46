"""Facts that are asked each question only once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from handlebar._plumbing.safe_json import canonical
from handlebar.policy.facts import Call, CountQuery, Facts, MetricQuery, PastCall, UnavailableError


class AskedOnce:
    """
    *facts*, with a memory that lasts for one evaluation.

    So all rules see the same answer, and none of them pays for it twice. Belongs to one thread.
    """

    __slots__ = ("_answers", "_facts")

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._answers: dict[Hashable, Any] = {}

    def past_calls(self) -> Sequence[PastCall]:
        """Ask for the run's allowed calls."""
        made: Sequence[PastCall] = self._once("past_calls", self._facts.past_calls)
        return made

    def count_calls(self, query: CountQuery) -> int:
        """Ask for the number of allowed calls."""
        question = (query.scope, query.calls, query.window_seconds, tuple(sorted(query.run_tags.items())), query.enough)
        count: int = self._once(question, lambda: self._facts.count_calls(query))
        return count

    def metric(self, query: MetricQuery) -> float:
        """Ask for the aggregate of a metric."""
        value: float = self._once(query, lambda: self._facts.metric(query))
        return value

    def run_tool_time_ms(self) -> float:
        """Ask how long the run's tools have run."""
        spent: float = self._once("run_tool_time_ms", self._facts.run_tool_time_ms)
        return spent

    def signal(self, key: str, args: Mapping[str, Any]) -> Any:
        """Ask for the value of a signal."""
        return self._once(("signal", key, canonical(args)), lambda: self._facts.signal(key, args))

    def custom(self, name: str, args: Mapping[str, Any], call: Call) -> bool:
        """Ask a function of the host application."""
        question = ("custom", name, canonical(args))
        held: bool = self._once(question, lambda: self._facts.custom(name, args, call))
        return held

    def _once(self, question: Hashable, ask: Callable[[], Any]) -> Any:
        if question not in self._answers:
            self._answers[question] = _outcome(ask)
        found, answer = self._answers[question]
        if not found:
            raise UnavailableError(*answer)
        return answer


def _outcome(ask: Callable[[], Any]) -> tuple[bool, Any]:
    """Return whether there is an answer, and the answer or why there is none."""
    try:
        return True, ask()
    except UnavailableError as error:
        return False, error.args
