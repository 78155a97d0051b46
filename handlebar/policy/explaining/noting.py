"""Facts that take notes of what they were asked and answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from handlebar.policy.facts import Call, CountQuery, Facts, MetricQuery, PastCall, UnavailableError
from handlebar.policy.loading.wording import shown

T = TypeVar("T")


class NotingFacts:
    """
    *facts*, with notes of what came of each question; lives as long as one leaf is looked at.

    Attributes:
        notes: One sentence for each question, in words.
    """

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self.notes: list[str] = []

    def past_calls(self) -> Sequence[PastCall]:
        """Ask for the run's allowed calls."""
        return self._noted(self._facts.past_calls, _past_in_words)

    def count_calls(self, query: CountQuery) -> int:
        """Ask for the number of allowed calls."""
        return self._noted(lambda: self._facts.count_calls(query), lambda number: f"{number} such calls count so far")

    def metric(self, query: MetricQuery) -> float:
        """Ask for the aggregate of a metric."""
        about = f"the {query.aggregate} of {query.key}"
        return self._noted(lambda: self._facts.metric(query), lambda value: f"{about} is {value:g}")

    def run_tool_time_ms(self) -> float:
        """Ask how long the run's tools have run."""
        return self._noted(self._facts.run_tool_time_ms, lambda spent: f"the run's tools took {spent:g} ms")

    def signal(self, key: str, args: Mapping[str, Any]) -> Any:
        """Ask for the value of a signal."""
        return self._noted(lambda: self._facts.signal(key, args), lambda value: f"{key} is {shown(value)}")

    def custom(self, name: str, args: Mapping[str, Any], call: Call) -> bool:
        """Ask a function of the host application."""
        said = {True: "yes", False: "no"}
        return self._noted(lambda: self._facts.custom(name, args, call), lambda held: f"{name} says {said[bool(held)]}")

    def _noted(self, ask: Callable[[], T], in_words: Callable[[T], str]) -> T:
        try:
            answer = ask()
        except UnavailableError as error:
            self.notes.append(str(error) or "no value could be had")
            raise
        self.notes.append(in_words(answer))
        return answer


def _past_in_words(past: Sequence[PastCall]) -> str:
    if not past:
        return "nothing was called before in this run"
    # Each once, in the order of first use: runs may be long.
    names = list(dict.fromkeys(each.tool_name for each in past))
    more = f" and {len(names) - 10} others" if len(names) > 10 else ""
    return f"called before in this run: {', '.join(names[:10])}{more}"
