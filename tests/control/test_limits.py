"""Limits hold exactly: counts, metrics, times and sequences, one process or many."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from handlebar.control import question
from tests.support.control import Desk, Worker, a_desk, a_limit, a_policy, a_rule, all_do, at_once, workers

PROCESSES = 8
TEN = [
    a_policy(
        a_rule(a_limit(10, "by-run"), name="run", tool="by-run"),
        a_rule(a_limit(10, "by-agent", per="agent"), name="agent", tool="by-agent"),
        a_rule(a_limit(10, "by-user", per="agent_user"), name="user", tool="by-user"),
        a_rule(a_limit(10, "by-window", windowSeconds=3600), name="window", tool="by-window"),
        a_rule(a_limit(10, "by-tag", per="agent", tagFilter={"team": "red"}), name="tag", tool="by-tag"),
        a_rule({"kind": "sequence", "mustNotHaveCalled": ["once"]}, name="once", tool="once"),
    )
]


class Time:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1_000_000.0

    def __call__(self) -> int:
        """Return the nanoseconds since 1970."""
        return int(self.seconds * 1_000_000) * 1000


@pytest.fixture(name="time")
def _time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(question, "time_ns", time)
    return time


@pytest.fixture(scope="module", name="crowd")
def _crowd(tmp_path_factory: pytest.TempPathFactory, database_kind: str) -> Iterator[list[Worker]]:
    with workers(PROCESSES, tmp_path_factory.mktemp(f"crowd-{database_kind}") / "plane.db", *TEN) as crowd:
        yield crowd


RACES: list[dict[str, Any]] = [
    *[{"tool": "by-run", "run": f"run-{number}"} for number in range(5)],
    {"tool": "by-agent"},
    *[{"tool": "by-user", "actor": name} for name in ("ann", "bob")],
    {"tool": "by-window"},
    {"tool": "by-tag", "tags": {"team": "red"}},
]


@pytest.mark.slow
def test_exactly_as_many_as_there_are_places(crowd: list[Worker]) -> None:
    """Four threads in each of eight processes, three attempts each: of 96 calls ten are allowed, every time."""
    allowed = [all_do(crowd, "race", threads=4, attempts=3, **{"actor": "zoe", **each}) for each in RACES]
    assert [10] * len(RACES) == [sum(each) for each in allowed]


@pytest.mark.slow
def test_exactly_one_goes_first(crowd: list[Worker]) -> None:
    """A tool that must not have been called is called by one of 32 racing threads, in each run."""
    allowed = [sum(all_do(crowd, "race", tool="once", actor="zoe", run=f"once-{number}")) for number in range(5)]
    assert [1] * 5 == allowed


def test_threads_share_the_places(tmp_path: Path) -> None:
    """Threads that race in one process take as many places as there are, on file and in memory."""
    for file in (tmp_path / "plane.db", None):
        with a_desk(file, a_policy(a_rule(a_limit(10)))) as desk:
            for run in ("one", "two"):
                assert 10 == sum(at_once([lambda run=run: desk.may(run=run)] * 24))


def test_what_is_blocked_does_not_count(tmp_path: Path) -> None:
    """A call that another rule blocks, or that a person is asked about, takes no place."""
    big = {"kind": "toolArg", "type": "number", "op": "gt", "path": "amount", "value": 100}
    odd = {"kind": "toolArg", "type": "number", "op": "eq", "path": "amount", "value": 13}
    rules = [a_rule(a_limit(2), name="limit"), a_rule(big, name="big"), a_rule(odd, "hitl", name="odd")]
    with a_desk(tmp_path / "plane.db", a_policy(*rules)) as desk:
        amounts = [101, 13, 1, 500, 13, 2, 3]
        assert [False, False, True, False, False, True, False] == [desk.may(args={"amount": each}) for each in amounts]


def test_after_the_call_nothing_counts_again(tmp_path: Path) -> None:
    """Asking about a result takes no second place."""
    with a_desk(tmp_path / "plane.db", a_policy(a_rule(a_limit(2)))) as desk:
        assert desk.may()
        assert desk.may(phase="tool.after")
        assert [True, False] == [desk.may(), desk.may()]


@pytest.mark.parametrize(("on_missing", "allowed"), [("allow", True), ("block", False), (None, False)])
def test_no_actor_to_count_for(tmp_path: Path, on_missing: str | None, allowed: bool) -> None:
    """Where a limit is for each actor and the run has none, the rule's onMissing decides, else block."""
    more = {"onMissing": on_missing} if on_missing else {}
    with a_desk(tmp_path / "plane.db", a_policy(a_rule(a_limit(1, per="agent_user"), **more))) as desk:
        assert [allowed] * 3 == [desk.may() for _ in range(3)]
        assert [True, False] == [desk.may(actor="ann") for _ in range(2)]


def test_a_limit_of_none(tmp_path: Path) -> None:
    """`max: 0` allows no call at all, not even the first."""
    with a_desk(tmp_path / "plane.db", a_policy(a_rule(a_limit(0)))) as desk:
        assert not desk.may()


def test_agents_have_their_own_places(tmp_path: Path) -> None:
    """A limit per agent counts for each agent by itself, though run and actor be the same."""
    limits = a_policy(a_rule(a_limit(1, per="agent"), name="a"), a_rule(a_limit(1, per="agent_user"), name="u"))
    with a_desk(tmp_path / "plane.db", limits) as one, a_desk(tmp_path / "plane.db", slug="other") as other:
        assert [True, True, False, False] == [desk.may(actor="ann") for desk in (one, other, one, other)]


@pytest.mark.parametrize("scope", [{}, {"per": "agent"}, {"per": "agent_user"}])
def test_calls_of_many_kinds_share_the_places(tmp_path: Path, scope: dict[str, Any]) -> None:
    """However many tools a limit is about, and however many others are called, its places are counted exactly."""
    ten = a_policy(a_rule(a_limit(10, "tool-*", **scope), tool="tool-*"))
    with a_desk(tmp_path / "plane.db", ten) as desk:
        allowed = [desk.may(f"tool-{number}", actor="ann") for number in range(12) if desk.may(f"other-{number}")]
    assert [True] * 10 + [False] * 2 == allowed


def test_a_window_moves_on(tmp_path: Path, time: Time) -> None:
    """A call leaves the window when windowSeconds have passed since it, not when the window is full."""
    with a_desk(tmp_path / "plane.db", a_policy(a_rule(a_limit(2, windowSeconds=10)))) as desk:
        allowed = []
        for seconds in (0, 4, 9.999, 10, 13.999, 14, 14.5, 20):
            time.seconds = 1_000_000.0 + seconds
            allowed.append(desk.may(run=f"run at {seconds}"))
    assert [True, True, False, True, False, True, False, True] == allowed


TAGS = st.text(min_size=1, max_size=6)


@settings(max_examples=25, deadline=None)
@given(TAGS, TAGS, TAGS)
def test_any_tag_can_be_counted_by(name: str, value: str, other: str) -> None:
    """A tagFilter of any text counts the runs that bear that tag with that value, and no others."""
    limit = a_limit(1, per="agent", tagFilter={name: value})
    with a_desk(None, a_policy(a_rule(limit))) as desk:
        assert desk.may(tags={})
        assert desk.may(tags={name: value + other})
        assert desk.may(tags={name + other: value})
        assert desk.may(tags={name: value, name + other: other})
        assert not desk.may(tags={})


def a_metric(key: str, op: str, value: float, *, scope: str = "run", aggregate: str = "sum", **more: Any) -> Any:
    """Return a condition on a metric."""
    kind = "inbuilt" if key in ("bytes_in", "bytes_out", "duration_ms", "llm_tokens_in") else "custom"
    window = {} if scope == "run" else {"windowSeconds": 3600}
    metric = {"kind": kind, "key": key}
    return {
        "kind": "metricWindow",
        "scope": scope,
        "metric": metric,
        "aggregate": aggregate,
        "op": op,
        "value": value,
    } | {
        **window,
        **more,
    }


@pytest.mark.parametrize(
    ("aggregate", "allowed"),
    [
        ("sum", [True, True, False, True, False]),
        ("avg", [True, True, True, True, True]),
        ("max", [True, True, False, True, True]),
        ("min", [True, True, True, True, True]),
        ("count", [True, True, True, True, True]),
    ],
)
def test_the_present_call_is_included(tmp_path: Path, aggregate: str, allowed: list[bool]) -> None:
    """An aggregate takes in the call that is decided, and of earlier ones those that were allowed."""
    limit = a_metric("cost", "gt", 8, aggregate=aggregate)
    with a_desk(tmp_path / "plane.db", a_policy(a_rule(limit))) as desk:
        assert allowed == [desk.may(metrics={"cost": cost}) for cost in (3, 4, 9, 1, 2)]


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        ("run", [True, True, True, False, True]),
        ("agent", [True, False, False, False, False]),
        ("agent_user", [True, False, True, False, False]),
    ],
)
def test_metrics_have_their_scopes(tmp_path: Path, scope: str, allowed: list[bool]) -> None:
    """Sums are kept apart by run, by agent, or by actor."""
    calls = [("r1", "ann"), ("r2", "ann"), ("r3", "bob"), ("r1", "ann"), ("r4", "bob")]
    with a_desk(tmp_path / "plane.db", a_policy(a_rule(a_metric("cost", "gt", 5, scope=scope)))) as desk:
        assert allowed == [desk.may(run=run, actor=actor, metrics={"cost": 3}) for run, actor in calls]


def test_a_metric_without_a_value(tmp_path: Path) -> None:
    """A metric that was never reported is missing, which blocks unless the condition says otherwise."""
    strict = a_rule(a_metric("cost", "gt", 5), name="strict")
    lenient = a_rule(a_metric("cost", "gt", 5, onMissing="allow"), name="lenient")
    for rule, allowed in ((strict, False), (lenient, True)):
        with a_desk(None, a_policy(rule)) as desk:
            assert allowed == desk.may()
            assert desk.may(metrics={"cost": 1})
            assert desk.may()


def test_tokens_are_spent_though_the_call_is_blocked(tmp_path: Path) -> None:
    """What the model has used counts even of a blocked call; what the call would have done does not."""
    no_pay = a_rule({"kind": "toolName", "op": "eq", "value": "pay"}, name="no pay")
    rules = [
        no_pay,
        a_rule(a_metric("llm_tokens_in", "gt", 10), name="t"),
        a_rule(a_metric("cost", "gt", 10), name="c"),
    ]
    with a_desk(tmp_path / "plane.db", a_policy(*rules)) as desk:
        desk.may("pay", run="tokens", metrics={"llm_tokens_in": 8, "cost": 1})
        desk.may("pay", run="cost", metrics={"llm_tokens_in": 1, "cost": 8})
        assert not desk.may(run="tokens", metrics={"llm_tokens_in": 3, "cost": 1})
        assert desk.may(run="cost", metrics={"llm_tokens_in": 1, "cost": 3})


def test_bytes_in_count_once(tmp_path: Path) -> None:
    """What is reported before and after the call, as bytes_in is, is added up once."""
    with a_desk(tmp_path / "plane.db", a_policy(a_rule(a_metric("bytes_in", "gt", 100)))) as desk:
        for allowed in (True, True, False):
            assert allowed == desk.may(metrics={"bytes_in": 40})
            desk.may(phase="tool.after", metrics={"bytes_in": 40, "bytes_out": 5})


def test_the_time_of_a_run_adds_up(tmp_path: Path) -> None:
    """`executionTime` in total sums the durations of the run's tools, the present one included."""
    over = {"kind": "executionTime", "scope": "total", "op": "gt", "ms": 100}
    with a_desk(tmp_path / "plane.db", a_policy(a_rule(over, phase="tool.after"))) as desk:
        for tool, run, allowed in (("a", "r", True), ("b", "r", True), ("c", "other", True), ("d", "r", False)):
            assert desk.may(tool, run=run)
            assert allowed == desk.may(tool, run=run, phase="tool.after", metrics={"duration_ms": 40})


SEQUENCE = [
    a_policy(
        a_rule({"kind": "sequence", "mustHaveCalled": ["look*"]}, name="must", tool="pay"),
        a_rule({"kind": "sequence", "mustNotHaveCalled": ["clos*"]}, name="not", tool="pay"),
    )
]


def test_sequences_reach_across_planes(tmp_path: Path) -> None:
    """What one plane has allowed in a run, another knows of at its next decision in that run, and in no other."""
    with a_desk(tmp_path / "plane.db", *SEQUENCE) as here, a_desk(tmp_path / "plane.db", *SEQUENCE) as there:
        assert not here.may("pay")
        assert there.may("LOOK up")
        assert here.may("pay")
        assert not here.may("pay", run="other")
        assert here.may("close")
        assert not there.may("pay")


@pytest.mark.slow
def test_sequences_reach_across_processes(tmp_path: Path) -> None:
    """What one process was allowed to call, the others know of when they are asked."""
    with workers(2, tmp_path / "plane.db", *SEQUENCE) as crowd:
        one, other = crowd
        for worker, tool, allowed in ((one, "pay", 0), (other, "look", 1), (one, "pay", 1), (one, "close", 1)):
            assert [allowed] == all_do([worker], "race", threads=1, tool=tool)
        assert [0, 0] == all_do(crowd, "race", threads=1, tool="pay")


TOOLS, RUNS, ACTORS = ["pay", "look", "close"], ["r1", "r2"], [None, "ann", "bob"]
STEPS = st.integers(0, 4) | st.sampled_from([1800, 3599, 3600, 3601, 9000])
WINDOWS = st.integers(1, 8) | st.sampled_from([1800, 3600, 5400, 7200, 20_000])
"""Seconds; what is further apart than an hour is counted by the hour."""


@frozen
class Asked:
    """One call of a generated history."""

    tool: str
    run: str
    actor: str | None
    team: str
    seconds: int
    cost: int


CALLS = st.builds(
    Asked,
    st.sampled_from(TOOLS),
    st.sampled_from(RUNS),
    st.sampled_from(ACTORS),
    st.sampled_from(["red", "blue"]),
    STEPS,
    st.integers(0, 5),
)
LIMITS = st.fixed_dictionaries(
    {"max": st.integers(0, 4), "patterns": st.lists(st.sampled_from(TOOLS), min_size=1, unique=True)},
    optional={
        "windowSeconds": WINDOWS,
        "per": st.sampled_from(["agent", "agent_user"]),
        "tagFilter": st.just({"team": "red"}),
    },
)
SUMS = st.fixed_dictionaries(
    {
        "scope": st.sampled_from(["run", "agent", "agent_user"]),
        "aggregate": st.sampled_from(["sum", "max", "min", "avg", "count"]),
        "windowSeconds": WINDOWS,
        "value": st.integers(1, 9),
    }
)


def in_scope(past: Asked, now: Asked, scope: str, window: float | None, then: float, at: float) -> bool:
    """Whether *past*, made at *then*, counts for *now* at *at*."""
    same = {"run": past.run == now.run, "agent": True, "agent_user": past.actor == now.actor}
    return same[scope] and (window is None or then > at - window)


def is_full(limit: dict[str, Any], now: Asked, at: float, history: list[tuple[float, Asked]]) -> bool:
    """Whether the naive count has reached the limit; an actor that is missing blocks."""
    scope = limit.get("per") or ("agent" if "windowSeconds" in limit else "run")
    if scope == "agent_user" and now.actor is None:
        return True
    counted = [
        past
        for then, past in history
        if past.tool in limit["patterns"]
        and in_scope(past, now, scope, limit.get("windowSeconds"), then, at)
        and ("tagFilter" not in limit or past.team == "red")
    ]
    return len(counted) >= limit["max"]


def is_spent(limit: dict[str, Any], now: Asked, at: float, history: list[tuple[float, Asked]]) -> bool:
    """Whether the naive aggregate is over the limit; an actor that is missing blocks."""
    if limit["scope"] == "agent_user" and now.actor is None:
        return True
    window = limit["windowSeconds"]
    costs = [past.cost for then, past in history if in_scope(past, now, limit["scope"], window, then, at)] + [now.cost]
    aggregates = {"sum": sum(costs), "max": max(costs), "min": min(costs), "count": len(costs)}
    value = {**aggregates, "avg": math.fsum(costs) / len(costs)}[limit["aggregate"]]
    return value > limit["value"]


def without(mapping: dict[str, Any], *keys: str) -> dict[str, Any]:
    """Return *mapping* without *keys*."""
    return {key: value for key, value in mapping.items() if key not in keys}


def decided(desk: Desk, call: Asked) -> bool:
    """Return what the plane says of *call*."""
    return desk.may(call.tool, run=call.run, actor=call.actor, tags={"team": call.team}, metrics={"cost": call.cost})


@pytest.mark.slow
def test_counting_is_what_a_child_would_count(time: Time) -> None:
    """For any limits and any history of calls, each decision is that of a list that is looked through."""

    @settings(max_examples=60, deadline=None)
    @given(st.lists(LIMITS, min_size=1, max_size=3), st.lists(SUMS, max_size=2), st.lists(CALLS, max_size=25))
    def check(limits: list[Any], sums: list[Any], calls: list[Asked]) -> None:
        rules = [a_rule(a_limit(each["max"], *each["patterns"], **without(each, "max", "patterns"))) for each in limits]
        rules += [a_rule(a_metric("cost", "gt", each["value"]) | each) for each in sums]
        named = [{**rule, "name": f"rule {number}"} for number, rule in enumerate(rules)]
        history: list[tuple[float, Asked]] = []
        with a_desk(None, a_policy(*named)) as desk:
            for call in calls:
                time.seconds += call.seconds
                at = time.seconds
                blocked = any(is_full(each, call, at, history) for each in limits)
                blocked |= any(is_spent(each, call, at, history) for each in sums)
                assert (not blocked) == decided(desk, call)
                if not blocked:
                    history.append((at, call))

    check()
