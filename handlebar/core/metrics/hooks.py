"""Metric hooks: functions of the user's that measure a tool call, before it or after it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Literal

from attrs import Attribute, field, frozen

from handlebar._plumbing.daemon_threads import DaemonThreads
from handlebar._plumbing.time_limits import CallError, call_within
from handlebar.core.failures import Failures, OnError, tell_nobody
from handlebar.core.metrics.late import LateMetrics
from handlebar.core.schema import checks
from handlebar.core.schema.metrics import MetricInfo, is_custom_key
from handlebar.errors import ConfigError

MOST_IN_BACKGROUND = 16
"""So many hooks that are not blocking may be under way at once; further ones are left out."""

_background = DaemonThreads("metric-hook", most=MOST_IN_BACKGROUND)

AgentMetricHookPhase = Literal["tool.before", "tool.after"]
"""When a hook runs: before the tool, or after it."""

OnMetric = Callable[[str, float, "str | None"], object]
"""Takes a metric's key, value and unit."""


def _custom_key(instance: Any, attribute: Attribute[Any], value: Any) -> None:
    if not is_custom_key(value):
        allowed = "letters, digits and _, at most 64, and no built-in key such as bytes_in"
        raise ConfigError(checks.where(instance, attribute), value, allowed)


@frozen
class AgentMetricHook:
    """
    A function that measures tool calls.

    Attributes:
        key: The metric's name: letters, digits, `_`, at most 64, and none of the built-in keys.

        phase: `tool.before` or `tool.after`.

        run: Gets the context (`AgentMetricInputToolBefore` or `…After`), sync or async; returns a number, a
            `MetricInfo`, or None for no metric this time.

        when: Gets the same context; where it says no, *run* is not called.

        timeout_ms: How long *when* and *run* may take, each; None for no limit. With a limit they run on a
            thread of their own.

        blocking: Whether the tool call waits. If not, the hook runs in the background, and its value goes
            with the run's next tool hook once it is there; what comes after the last one is lost.
    """

    key: str = field(validator=_custom_key)
    phase: AgentMetricHookPhase = field(validator=checks.one_of(("tool.before", "tool.after")))
    run: Callable[[Any], Any] = field(validator=checks.callable_)
    when: Callable[[Any], Any] | None = field(default=None, validator=checks.optional(checks.callable_))
    timeout_ms: float | None = field(default=None, validator=checks.optional(checks.number(above=0)))
    blocking: bool = field(default=True, validator=checks.truth)


@frozen
class AgentMetricInputToolBefore:
    """What a hook of phase `tool.before` is told."""

    tool_name: str
    args: Any = field(repr=False)
    run: Any


@frozen
class AgentMetricInputToolAfter:
    """What a hook of phase `tool.after` is told; *error* is None where the tool succeeded."""

    tool_name: str
    args: Any = field(repr=False)
    run: Any
    result: Any = field(default=None, repr=False)
    error: Any = field(default=None, repr=False)


HookContext = AgentMetricInputToolBefore | AgentMetricInputToolAfter


class AgentMetricHookRegistry:
    """
    A client's metric hooks; lives as long as the client.

    Thread-safe and fork-safe. A hook that raises, takes too long or returns no number harms nobody: it is
    logged, and reported once.

    Attributes:
        is_used: Whether there has ever been a hook, so that there may be something to measure.
    """

    def __init__(self, hooks: Iterable[AgentMetricHook] = ()) -> None:
        # One dict whose single operations are atomic: no lock that a fork's child could inherit.
        self._hooks: dict[tuple[AgentMetricHookPhase, str], AgentMetricHook] = {}
        self._late = LateMetrics()
        self.is_used = False
        self._failures = Failures("metric hook")
        for hook in hooks:
            self.register_hook(hook)

    def register_hook(self, hook: AgentMetricHook) -> None:
        """
        Run *hook* from now on; it replaces one of the same key and phase.

        Raises:
            ConfigError: *hook* is no AgentMetricHook.
        """
        if not isinstance(hook, AgentMetricHook):
            raise ConfigError("hook", hook, "an AgentMetricHook")
        self._hooks[hook.phase, hook.key] = hook
        self.is_used = True

    def unregister_hook(self, key: str, phase: AgentMetricHookPhase) -> None:
        """Run the hook of that key and phase no more, if there is one."""
        self._hooks.pop((phase, key), None)

    def run_phase(
        self,
        phase: AgentMetricHookPhase,
        context: HookContext,
        on_metric: OnMetric,
        *,
        on_error: OnError = tell_nobody,
    ) -> None:
        """
        Run the hooks of *phase*, and hand over what they measure, and what has come late since the last time.

        Args:
            phase: `tool.before` or `tool.after`.

            context: What the hooks are told.

            on_metric: Called with key, value and unit of each metric; never after this method has returned.

            on_error: Called with key and reason when a hook has failed for the first time.
        """
        for key, late in self._late.take(context.run).items():
            on_metric(key, late.value, late.unit)
        for hook in [each for each in list(self._hooks.values()) if each.phase == phase]:
            metric = self._failures.guard(hook.key, on_error, partial(self._ask, hook, context, on_error))
            if metric is not None:
                on_metric(hook.key, metric.value, metric.unit)

    def _ask(self, hook: AgentMetricHook, context: HookContext, on_error: OnError) -> MetricInfo | None:
        """Ask *hook* now, or see to it that it is asked in the background."""
        if hook.blocking:
            return _measured(hook, context)
        if _background.submit(self._ask_late, hook, context, on_error) is None:
            raise CallError(f"left out, because {MOST_IN_BACKGROUND} hooks are running in the background")
        return None

    def _ask_late(self, hook: AgentMetricHook, context: HookContext, on_error: OnError) -> None:
        metric = self._failures.guard(hook.key, on_error, partial(_measured, hook, context))
        if metric is not None:
            self._late.add(context.run, hook.key, metric)


def _measured(hook: AgentMetricHook, context: HookContext) -> MetricInfo | None:
    seconds = None if hook.timeout_ms is None else hook.timeout_ms / 1000
    if hook.when is not None and not call_within(hook.when, context, timeout_seconds=seconds):
        return None
    return _as_metric(call_within(hook.run, context, timeout_seconds=seconds))


def _as_metric(value: Any) -> MetricInfo | None:
    if value is None or isinstance(value, MetricInfo):
        return value
    try:
        return MetricInfo(value)
    except ConfigError:
        raise CallError(f"returned a {type(value).__name__}, not a finite number") from None
