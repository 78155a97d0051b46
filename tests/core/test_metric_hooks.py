"""Functions of the user's that measure tool calls."""

from __future__ import annotations

import asyncio
import gc
import logging
import re
import threading
import weakref
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlebar.core.metrics import hooks as metric_hooks
from handlebar.core.metrics.hooks import (
    MOST_IN_BACKGROUND,
    AgentMetricHook,
    AgentMetricHookRegistry,
    AgentMetricInputToolAfter,
    AgentMetricInputToolBefore,
)
from handlebar.core.schema.metrics import INBUILT_KEYS, MetricInfo, is_custom_key
from handlebar.errors import ConfigError
from tests.support.forks import in_child
from tests.support.waiting import eventually

Measurement = tuple[str, float, "str | None"]


class _Run:
    """Stands for a run, which is all that hooks want of it."""


class _Asker:
    """Asks a registry as a run does, and keeps what it is told."""

    def __init__(self, *hooks: AgentMetricHook) -> None:
        self.registry = AgentMetricHookRegistry(hooks)
        self.errors: list[tuple[str, str]] = []
        self.run = _Run()

    def ask(self, phase: Any = "tool.before") -> list[Measurement]:
        """Return what the hooks of *phase* measure."""
        told: list[Measurement] = []
        context = AgentMetricInputToolBefore("refund", {"amount": 5}, self.run)
        self.registry.run_phase(
            phase,
            context,
            lambda key, value, unit: told.append((key, value, unit)),
            on_error=lambda key, reason: self.errors.append((key, reason)),
        )
        return told


def _hook(run: Any, key: str = "risk", phase: Any = "tool.before", **more: Any) -> AgentMetricHook:
    return AgentMetricHook(key, phase, run, **more)


@pytest.mark.parametrize("key", ["", "a-b", "a b", "é", "a" * 65, "a\n", 5, None, *sorted(INBUILT_KEYS)])
def test_a_key_that_cannot_be_sent_is_refused(key: Any) -> None:
    """Letters, digits and `_`, at most 64, and no built-in key; the error names the field."""
    with pytest.raises(ConfigError, match=r"AgentMetricHook\.key"):
        _hook(len, key)


@pytest.mark.parametrize("key", ["a", "risk_2", "_", "A" * 64, "9"])
def test_good_keys(key: str) -> None:
    """All else is a key."""
    assert key == _hook(len, key).key


@given(st.text(max_size=70))
def test_custom_keys_are_ascii_words(key: str) -> None:
    """What counts as a key is exactly what the wire allows."""
    words = key.isascii() and key.replace("_", "a").isalnum() and len(key) <= 64 and key not in INBUILT_KEYS
    assert words == is_custom_key(key)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"phase": "tool"}, "phase"),
        ({"phase": None}, "phase"),
        ({"run": 5}, "run"),
        ({"when": True}, "when"),
        ({"timeout_ms": 0}, "timeout_ms"),
        ({"timeout_ms": "5"}, "timeout_ms"),
        ({"blocking": 1}, "blocking"),
    ],
)
def test_a_hook_is_checked(fields: dict[str, Any], name: str) -> None:
    """Every field has its check, and the error names it."""
    with pytest.raises(ConfigError, match=rf"AgentMetricHook\.{name}"):
        AgentMetricHook(**{"key": "risk", "phase": "tool.before", "run": len, **fields})


@pytest.mark.parametrize("value", [5, 0, -1.5, 10**30, MetricInfo(5, "cents")], ids=repr)
def test_numbers_and_metrics_are_handed_over(value: Any) -> None:
    """A number has no unit, a MetricInfo has its own."""
    metric = value if isinstance(value, MetricInfo) else MetricInfo(value)
    assert [("risk", metric.value, metric.unit)] == _Asker(_hook(lambda context: value)).ask()


def test_hooks_are_told_of_the_call() -> None:
    """They get the context as the run made it."""
    seen: list[Any] = []
    registry = AgentMetricHookRegistry([_hook(seen.append, phase="tool.after")])
    context = AgentMetricInputToolAfter("refund", {"a": 1}, _Run(), result=[1], error=None)
    registry.run_phase("tool.after", context, lambda *metric: None)
    assert [context] == seen
    assert "[1]" not in repr(context)
    assert "'a'" not in repr(context)


def test_none_is_no_metric() -> None:
    """A hook that has nothing to say this time is no failure."""
    asker = _Asker(_hook(lambda context: None))
    assert [] == asker.ask()
    assert [] == asker.errors


def test_only_the_hooks_of_the_phase_run() -> None:
    """Before and after may have the same key."""
    asker = _Asker(_hook(lambda context: 1), _hook(lambda context: 2, phase="tool.after"))
    assert [("risk", 1, None)] == asker.ask("tool.before")
    assert [("risk", 2, None)] == asker.ask("tool.after")


def test_hooks_can_be_replaced_and_removed() -> None:
    """The same key and phase is the same hook; removing what is not there is no matter."""
    asker = _Asker(_hook(lambda context: 1), _hook(lambda context: 9, "other"))
    asker.registry.register_hook(_hook(lambda context: 2))
    assert [("risk", 2, None), ("other", 9, None)] == asker.ask()
    asker.registry.unregister_hook("risk", "tool.after")
    asker.registry.unregister_hook("risk", "tool.before")
    asker.registry.unregister_hook("risk", "tool.before")
    assert [("other", 9, None)] == asker.ask()


@pytest.mark.parametrize("hook", [None, len, {"key": "risk"}])
def test_only_hooks_can_be_registered(hook: Any) -> None:
    """A mistake is found where it is made."""
    with pytest.raises(ConfigError, match="an AgentMetricHook"):
        AgentMetricHookRegistry().register_hook(hook)


def test_when_decides_whether_the_hook_runs() -> None:
    """Where it says no, the function is not called."""
    called: list[Any] = []
    asker = _Asker(
        _hook(called.append, "no", when=lambda context: False),
        _hook(lambda context: 1, "yes", when=lambda context: context.tool_name == "refund"),
    )
    assert [("yes", 1, None)] == asker.ask()
    assert [] == called


async def _later(context: Any) -> int:
    await asyncio.sleep(0.001)
    return 7


async def _never(context: Any) -> bool:
    return False


@pytest.mark.parametrize("timeout_ms", [None, 20_000])
def test_async_hooks_are_waited_for(timeout_ms: float | None) -> None:
    """With a limit or without, coroutine functions measure and decide as others do."""
    asker = _Asker(_hook(_later, timeout_ms=timeout_ms), _hook(_later, "never", when=_never, timeout_ms=timeout_ms))
    assert [("risk", 7, None)] == asker.ask()


def test_async_hooks_work_inside_a_running_loop() -> None:
    """A blocking hook that is called from a coroutine does not trip over the loop."""

    async def agent() -> list[Measurement]:
        return _Asker(_hook(_later)).ask()

    assert [("risk", 7, None)] == asyncio.run(agent())


def _fail(context: Any) -> float:
    raise ValueError(f"secret {context.args}")


@pytest.mark.parametrize(
    "run",
    [
        _fail,
        lambda context: "5",
        lambda context: True,
        lambda context: float("nan"),
        lambda context: float("inf"),
        lambda context: Decimal(5),
        lambda context: [5],
        lambda: 5,
    ],
    ids=["raises", "text", "bool", "nan", "inf", "decimal", "list", "signature"],
)
@pytest.mark.parametrize("blocking", [True, False])
def test_a_hook_that_fails_harms_nobody(
    run: Any, blocking: bool, caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest
) -> None:
    """The others are asked, it is logged and reported once, and its words are not told."""
    # A key of its own: what is still under way in the background may log during another test.
    key = re.sub(r"\W", "_", request.node.name)
    asker = _Asker(_hook(run, key, blocking=blocking), _hook(lambda context: 1, "good"))
    for _ in range(3):
        assert [("good", 1, None)] == asker.ask()
        assert eventually(lambda: 1 == len(asker.errors))
    assert key == asker.errors[0][0]
    lines = [record for record in caplog.records if repr(key) in record.getMessage()]
    assert [logging.WARNING] == [record.levelno for record in lines]
    assert "secret" not in caplog.text + asker.errors[0][1]


def test_a_failing_when_is_a_failing_hook() -> None:
    """The function is not called, and the failure is reported under the hook's key."""
    called: list[Any] = []
    asker = _Asker(_hook(called.append, when=_fail))
    assert [] == asker.ask()
    assert ["risk"] == [key for key, _ in asker.errors]
    assert [] == called


def test_a_hook_that_hangs_is_left_behind() -> None:
    """After its limit the call goes on without it, and what it says later is not heard."""
    free = threading.Event()
    asker = _Asker(_hook(lambda context: free.wait(30) and 5, timeout_ms=50), _hook(lambda context: 1, "good"))
    try:
        assert [("good", 1, None)] == asker.ask()
        assert [("risk", "took longer than 0.05 s")] == asker.errors
    finally:
        free.set()


def test_a_hook_is_not_called_from_inside_itself() -> None:
    """A hook that calls a governed tool does not go round in circles."""
    calls: list[int] = []

    def nested(context: Any) -> int:
        calls.append(1)
        return len(asker.ask())

    asker = _Asker(_hook(nested))
    assert [("risk", 0, None)] == asker.ask()
    assert [1] == calls
    assert ["risk"] == [key for key, _ in asker.errors]


def test_interrupts_pass_through() -> None:
    """What a task queue throws into a task is not taken for a hook's failure."""

    class SoftTimeLimitExceeded(Exception):  # Celery's, by its name
        pass

    def interrupted(context: Any) -> float:
        raise SoftTimeLimitExceeded

    with pytest.raises(SoftTimeLimitExceeded):
        _Asker(_hook(interrupted)).ask()


def test_a_hook_in_the_background_comes_with_the_next_call() -> None:
    """Nobody waits for it; its value goes with the run's next hook, once."""
    free = threading.Event()

    def slow(context: Any) -> MetricInfo:
        free.wait(30)
        return MetricInfo(3, "s")

    asker = _Asker(_hook(slow, blocking=False))
    assert [] == asker.ask()
    free.set()
    late: list[Measurement] = []
    assert eventually(lambda: bool(late.extend(asker.ask("tool.after")) or late))
    assert [("risk", 3, "s")] == late
    assert [] == asker.ask("tool.after")


def test_late_metrics_belong_to_their_run() -> None:
    """Another run never gets them, and a run that is gone takes them along."""
    asker = _Asker(_hook(lambda context: 3, blocking=False))
    asker.ask()
    first, asker.run = asker.run, _Run()
    for _ in range(20):
        assert [] == asker.ask("tool.after")
    gone = weakref.ref(first)
    del first
    assert eventually(lambda: gc.collect() >= 0 and gone() is None)


def test_too_many_in_the_background_are_left_out() -> None:
    """Hooks that hang fill neither the memory nor the process with threads."""
    free = threading.Event()
    asker = _Asker(_hook(lambda context: free.wait(30) and None, blocking=False))
    try:
        for _ in range(MOST_IN_BACKGROUND + 3):
            asker.ask()
        assert [("risk", f"left out, because {MOST_IN_BACKGROUND} hooks are running in the background")] == asker.errors
    finally:
        free.set()
    assert eventually(lambda: metric_hooks._background.submit(int) is not None)


def test_hooks_work_in_a_forks_child() -> None:
    """A child asks, waits and works in the background like its parent."""
    asker = _Asker(_hook(_later, timeout_ms=20_000), _hook(lambda context: 3, "late", blocking=False))
    asker.ask()

    def child() -> str:
        seen = set(asker.ask())
        eventually(lambda: ("late", 3, None) in (seen.update(asker.ask("tool.after")) or seen))
        return repr(sorted(seen))

    assert "[('late', 3, None), ('risk', 7, None)]" == in_child(child)


def test_threads_may_ask_and_register_at_once() -> None:
    """Nobody sees half a registry."""
    asker = _Asker(_hook(lambda context: 1))
    wrong: list[Any] = []

    def work(number: int) -> None:
        for _ in range(200):
            asker.registry.register_hook(_hook(lambda context: 1, f"key_{number}"))
            told = asker.ask()
            if ("risk", 1, None) not in told:
                wrong.append(told)
            asker.registry.unregister_hook(f"key_{number}", "tool.before")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [] == wrong
    assert [] == asker.errors
