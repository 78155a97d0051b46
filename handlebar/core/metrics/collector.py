"""Metrics gathered step by step, in the form that audit events have."""

from __future__ import annotations

import threading

from attrs import define, evolve, field

from handlebar._plumbing.forking import PerProcess
from handlebar.core.schema.metrics import INBUILT_KEYS, InbuiltAgentMetricKind, MetricInfo, is_custom_key
from handlebar.errors import ConfigError

Payload = dict[str, dict[str, dict[str, float | str]]]
"""`{"inbuilt": {key: {"value": …, "unit": …}}, "custom": {…}}`."""


@define
class _Gathered:
    """Metrics by key, built-in and custom apart."""

    inbuilt: dict[str, MetricInfo] = field(factory=dict)
    custom: dict[str, MetricInfo] = field(factory=dict)

    def payload(self) -> Payload | None:
        if not self.inbuilt and not self.custom:
            return None
        return {"inbuilt": _as_dicts(self.inbuilt), "custom": _as_dicts(self.custom)}


class AgentMetricCollector:
    """
    Gathers the metrics of one step, and their sums over all steps that have been aggregated.

    Thread-safe. Lives as long as its user likes; Handlebar's own runs do not need it.
    """

    def __init__(self) -> None:
        # Keyed by process, because a fork's child would inherit the lock as it is, held or not.
        self._lock: PerProcess[threading.Lock] = PerProcess(threading.Lock)
        self._step = _Gathered()
        self._total = _Gathered()

    def set_inbuilt(self, kind: InbuiltAgentMetricKind | str, value: float, unit: str | None = None) -> None:
        """Set the built-in metric *kind* of this step."""
        metric = MetricInfo(value, unit)
        with self._lock.get():
            self._step.inbuilt[_inbuilt_key(kind)] = metric

    def add_inbuilt(self, kind: InbuiltAgentMetricKind | str, delta: float, unit: str | None = None) -> None:
        """Add *delta* to the built-in metric *kind* of this step."""
        metric = MetricInfo(delta, unit)
        with self._lock.get():
            _add(self._step.inbuilt, _inbuilt_key(kind), metric)

    def set_custom(self, key: str, value: float, unit: str | None = None) -> None:
        """Set the custom metric *key* of this step."""
        metric = MetricInfo(value, unit)
        with self._lock.get():
            self._step.custom[_custom_key(key)] = metric

    def add_custom(self, key: str, delta: float, unit: str | None = None) -> None:
        """Add *delta* to the custom metric *key* of this step."""
        metric = MetricInfo(delta, unit)
        with self._lock.get():
            _add(self._step.custom, _custom_key(key), metric)

    def aggregate(self) -> None:
        """Add this step's metrics to the totals, and start the next step with none."""
        with self._lock.get():
            self._aggregate()

    def to_event_payload(self, *, aggregate: bool = False) -> Payload | None:
        """Return this step's metrics, None where there are none; with *aggregate*, then aggregate them."""
        with self._lock.get():
            payload = self._step.payload()
            if aggregate:
                self._aggregate()
            return payload

    def totals(self) -> Payload | None:
        """Return the sums over all steps that have been aggregated, None where there are none."""
        with self._lock.get():
            return self._total.payload()

    def _aggregate(self) -> None:
        step, self._step = self._step, _Gathered()
        for key, metric in step.inbuilt.items():
            _add(self._total.inbuilt, key, metric)
        for key, metric in step.custom.items():
            _add(self._total.custom, key, metric)


def _add(metrics: dict[str, MetricInfo], key: str, metric: MetricInfo) -> None:
    known = metrics.get(key)
    metrics[key] = metric if known is None else evolve(known, value=known.value + metric.value)


def _inbuilt_key(kind: InbuiltAgentMetricKind | str) -> str:
    if kind not in INBUILT_KEYS:
        raise ConfigError("kind", kind, f"one of {', '.join(sorted(INBUILT_KEYS))}")
    return str(kind)


def _custom_key(key: str) -> str:
    if not is_custom_key(key):
        raise ConfigError("key", key, "letters, digits and _, at most 64, and no built-in key")
    return key


def _as_dicts(metrics: dict[str, MetricInfo]) -> dict[str, dict[str, float | str]]:
    return {key: _as_dict(metric) for key, metric in metrics.items()}


def _as_dict(metric: MetricInfo) -> dict[str, float | str]:
    return {"value": metric.value} if metric.unit is None else {"value": metric.value, "unit": metric.unit}
