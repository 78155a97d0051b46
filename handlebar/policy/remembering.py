"""A memory of calls, in the process: what rules that look back are told where there is no database."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import Factory, define, field, frozen

from handlebar.core.schema.metrics import InbuiltAgentMetricKind
from handlebar.policy.facts import Call, CountQuery, MetricQuery, PastCall, UnavailableError

_DURATION = InbuiltAgentMetricKind.DURATION_MS.value

Scope = tuple[str, ...]
"""A run, an agent, or an agent acting for one actor."""


@frozen(kw_only=True)
class Caller:
    """
    Who calls, and when.

    Attributes:
        run_tags: None where nobody knows them.

        at: Seconds since 1970.
    """

    agent: str
    run_id: str
    actor_id: str | None = None
    run_tags: Mapping[str, str] | None = Factory(dict)
    at: float

    def scopes(self) -> Iterator[Scope]:
        """Yield everything that a call of this caller counts for."""
        yield ("run", self.agent, self.run_id)
        yield ("agent", self.agent)
        if self.actor_id is not None:
            yield ("agent_user", self.agent, self.actor_id)

    def scope(self, name: str) -> Scope:
        """Return the scope of that *name*; raises UnavailableError where there is none."""
        if name == "agent_user" and self.actor_id is None:
            raise UnavailableError("the run has no actor to count for")
        return next(scope for scope in self.scopes() if scope[0] == name)


@define
class _Samples:
    """The values of one metric in one scope, in order of time, with what they add up to."""

    times: list[float] = field(factory=list)
    values: list[float] = field(factory=list)
    sums: list[float] = field(factory=lambda: [0.0])

    def add(self, at: float, value: float) -> None:
        self.times.append(at)
        self.values.append(value)
        self.sums.append(self.sums[-1] + value)

    def aggregate(self, name: str, start: int, present: float | None) -> float | None:
        """Return the aggregate of the values from the position *start* on, and of the *present* one."""
        count = len(self.values) - start + (present is not None)
        if name == "count":
            return float(count)
        if not count:
            return None
        if name in ("sum", "avg"):
            total = self.sums[-1] - self.sums[start] + (present or 0.0)
            return total if name == "sum" else total / count
        values = self.values[start:] if present is None else [*self.values[start:], present]
        return max(values) if name == "max" else min(values)


class Memory:
    """
    Calls and numbers of the past; lives as long as one test case or one replay, and belongs to one thread.

    Time does not go back in it: what is told late counts as having happened when the latest did.
    """

    def __init__(self) -> None:
        self._past: dict[Scope, list[PastCall]] = defaultdict(list)
        self._times: dict[Scope, dict[PastCall, list[float]]] = defaultdict(lambda: defaultdict(list))
        self._tagged: dict[Scope, list[tuple[PastCall, float, Mapping[str, str]]]] = defaultdict(list)
        self._samples: dict[Scope, dict[str, _Samples]] = defaultdict(lambda: defaultdict(_Samples))
        self._latest = 0.0

    def remember_call(self, caller: Caller, tool_name: str, tool_tags: Sequence[str]) -> None:
        """Let an allowed call count from now on."""
        at, made = self._now(caller), PastCall(tool_name, tuple(tool_tags))
        self._past["run", caller.agent, caller.run_id].append(made)
        for scope in caller.scopes():
            self._times[scope][made].append(at)
            if caller.run_tags:
                self._tagged[scope].append((made, at, caller.run_tags))

    def remember_metrics(self, caller: Caller, metrics: Mapping[str, float]) -> None:
        """Let numbers count from now on."""
        at = self._now(caller)
        for scope in caller.scopes():
            for key, value in metrics.items():
                self._samples[scope][key].add(at, value)

    def past_calls(self, caller: Caller) -> Sequence[PastCall]:
        """Return the run's allowed calls, oldest first."""
        return self._past.get(("run", caller.agent, caller.run_id), [])

    def count_calls(self, caller: Caller, query: CountQuery) -> int:
        """
        Return the number of allowed calls that *query* asks for.

        Raises:
            UnavailableError: They are counted for an actor, or by the run's tags, and nobody knows those.
        """
        scope, start = caller.scope(query.scope), _start(caller, query.window_seconds)
        if query.run_tags:
            return self._count_tagged(caller, scope, start, query)
        kinds = self._times.get(scope, {})
        meant = (times for kind, times in kinds.items() if query.calls.matches(kind.tool_name, kind.tool_tags))
        return sum(len(times) - bisect_right(times, start) for times in meant)

    def metric(self, caller: Caller, query: MetricQuery, present: float | None) -> float:
        """
        Return the aggregate that *query* asks for, the *present* call's value included.

        Raises:
            UnavailableError: There is no value at all, or it is an actor's, and the run has none.
        """
        samples = self._samples.get(caller.scope(query.scope), {}).get(query.key) or _Samples()
        start = bisect_right(samples.times, _start(caller, query.window_seconds))
        found = samples.aggregate(query.aggregate, start, present)
        if found is None:
            raise UnavailableError(f"there is no value of the metric {query.key!r} yet")
        return found

    def forget_run(self, agent: str, run_id: str) -> None:
        """Let go of what is remembered for a run that is over; what it counts for its agent stays."""
        scope = ("run", agent, run_id)
        for each in (self._past, self._times, self._tagged, self._samples):
            each.pop(scope, None)

    def _count_tagged(self, caller: Caller, scope: Scope, start: float, query: CountQuery) -> int:
        if caller.run_tags is None:
            raise UnavailableError("nobody knows the run's tags")
        return sum(
            at > start
            and query.calls.matches(made.tool_name, made.tool_tags)
            and all(tags.get(name) == value for name, value in query.run_tags.items())
            for made, at, tags in self._tagged.get(scope, [])
        )

    def _now(self, caller: Caller) -> float:
        self._latest = max(self._latest, caller.at)
        return self._latest


@frozen(kw_only=True)
class RememberedFacts:
    """
    Implements `Facts` on a memory.

    Attributes:
        metrics: The numbers reported with the present call.

        signals: The values of the application's signals, by key.

        functions: What the application's functions say, by name.
    """

    memory: Memory
    caller: Caller
    metrics: Mapping[str, float] = Factory(dict)
    signals: Mapping[str, Any] = Factory(dict)
    functions: Mapping[str, bool] = Factory(dict)

    def past_calls(self) -> Sequence[PastCall]:
        """Return the run's allowed calls, as `Facts` says."""
        return self.memory.past_calls(self.caller)

    def count_calls(self, query: CountQuery) -> int:
        """Count, as `Facts` says."""
        return self.memory.count_calls(self.caller, query)

    def metric(self, query: MetricQuery) -> float:
        """Aggregate, as `Facts` says."""
        return self.memory.metric(self.caller, query, self.metrics.get(query.key))

    def run_tool_time_ms(self) -> float:
        """Add up, as `Facts` says."""
        try:
            return self.metric(MetricQuery(scope="run", key=_DURATION, aggregate="sum"))
        except UnavailableError:  # no tool of the run has ended yet
            return 0.0

    def signal(self, key: str, args: Mapping[str, Any]) -> Any:
        """Look up, as `Facts` says."""
        return _stated(self.signals, key, "signal")

    def custom(self, name: str, args: Mapping[str, Any], call: Call) -> bool:
        """Look up, as `Facts` says."""
        return bool(_stated(self.functions, name, "function"))


def _stated(values: Mapping[str, Any], name: str, what: str) -> Any:
    if name not in values:
        raise UnavailableError(f"nobody says what the {what} {name!r} says")
    return values[name]


def _start(caller: Caller, window_seconds: float | None) -> float:
    """Return the time after which what happened counts."""
    return float("-inf") if window_seconds is None else caller.at - window_seconds
