"""Metrics gathered step by step."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlebar.core.metrics.collector import AgentMetricCollector
from handlebar.core.schema.metrics import INBUILT_KEYS, InbuiltAgentMetricKind, MetricInfo
from handlebar.errors import ConfigError
from tests.support.forks import in_child


def test_nothing_gathered_is_no_payload() -> None:
    """Neither a step nor a total is made up."""
    collector = AgentMetricCollector()
    collector.aggregate()
    assert collector.to_event_payload() is None
    assert collector.totals() is None


def test_the_payload_is_what_events_hold() -> None:
    """Built-in and custom apart, units where there are any."""
    collector = AgentMetricCollector()
    collector.set_inbuilt(InbuiltAgentMetricKind.BYTES_IN, 5)
    collector.set_inbuilt("duration_ms", 1.5, "ms")
    collector.set_custom("risk", 0.5)
    collector.add_custom("rows", 3, "rows")
    assert {
        "inbuilt": {"bytes_in": {"value": 5}, "duration_ms": {"value": 1.5, "unit": "ms"}},
        "custom": {"risk": {"value": 0.5}, "rows": {"value": 3, "unit": "rows"}},
    } == collector.to_event_payload()
    assert all(type(key) is str for key in collector.to_event_payload()["inbuilt"])  # type: ignore[index]


def test_setting_replaces_and_adding_adds() -> None:
    """An added value keeps the unit that the first one had."""
    collector = AgentMetricCollector()
    collector.add_custom("rows", 1, "rows")
    collector.add_custom("rows", 2)
    collector.set_inbuilt("bytes_in", 1)
    collector.set_inbuilt("bytes_in", 7)
    collector.add_inbuilt("bytes_in", -2)
    assert {
        "inbuilt": {"bytes_in": {"value": 5}},
        "custom": {"rows": {"value": 3, "unit": "rows"}},
    } == collector.to_event_payload()


def test_a_payload_can_close_its_step() -> None:
    """With *aggregate* the step goes to the totals, and the next begins with nothing."""
    collector = AgentMetricCollector()
    for _ in range(3):
        collector.add_inbuilt("llm_tokens_in", 10)
        assert {"inbuilt": {"llm_tokens_in": {"value": 10}}, "custom": {}} == collector.to_event_payload(aggregate=True)
        assert collector.to_event_payload() is None
    assert {"inbuilt": {"llm_tokens_in": {"value": 30}}, "custom": {}} == collector.totals()


steps = st.lists(st.lists(st.tuples(st.sampled_from(["a", "b", "bytes_in"]), st.integers(-99, 99)), max_size=4))


@given(steps)
def test_totals_are_the_sums_of_the_steps(given_steps: list[list[tuple[str, int]]]) -> None:
    """Whatever is added in whatever steps, nothing is lost or counted twice."""
    collector, expected = AgentMetricCollector(), Counter[str]()
    for step in given_steps:
        for key, number in step:
            (collector.add_inbuilt if key == "bytes_in" else collector.add_custom)(key, number)
            expected[key] += number
        collector.aggregate()
    totals = collector.totals() or {"inbuilt": {}, "custom": {}}
    assert expected == {key: part["value"] for half in totals.values() for key, part in half.items()}


@pytest.mark.parametrize("key", ["", "a-b", "a" * 65, "é", None, *sorted(INBUILT_KEYS)])
def test_custom_keys_are_checked(key: Any) -> None:
    """None may shadow a built-in one."""
    for add in (AgentMetricCollector().set_custom, AgentMetricCollector().add_custom):
        with pytest.raises(ConfigError, match="no built-in key"):
            add(key, 1)


@pytest.mark.parametrize("kind", ["risk", "", None])
def test_built_in_kinds_are_checked(kind: Any) -> None:
    """There are eight of them, and the error names them."""
    for add in (AgentMetricCollector().set_inbuilt, AgentMetricCollector().add_inbuilt):
        with pytest.raises(ConfigError, match="llm_cost_usd"):
            add(kind, 1)


@pytest.mark.parametrize("value", [None, "5", True, float("nan"), float("inf")])
def test_values_are_numbers(value: Any) -> None:
    """What is refused leaves nothing behind."""
    collector = AgentMetricCollector()
    with pytest.raises(ConfigError, match=r"MetricInfo\.value"):
        collector.add_custom("risk", value)
    assert collector.to_event_payload() is None
    with pytest.raises(ConfigError, match=r"MetricInfo\.unit"):
        MetricInfo(1, 5)  # type: ignore[arg-type]


def test_no_thread_loses_an_addition() -> None:
    """Steps may be closed by one thread while others add."""
    collector = AgentMetricCollector()

    def work() -> None:
        for _ in range(500):
            collector.add_custom("n", 1)
            collector.to_event_payload(aggregate=True)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {"inbuilt": {}, "custom": {"n": {"value": 2000}}} == collector.totals()


def test_a_fork_while_somebody_adds_harms_nobody() -> None:
    """The child does not inherit a lock that nobody will give back."""
    collector = AgentMetricCollector()
    done = threading.Event()

    def work() -> None:
        while not done.is_set():
            collector.add_custom("n", 1)

    def child() -> str:
        collector.set_custom("n", 5)
        return str(collector.to_event_payload())

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(5):
            assert "{'inbuilt': {}, 'custom': {'n': {'value': 5}}}" == in_child(child)
    finally:
        done.set()
        thread.join()
