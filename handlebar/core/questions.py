"""From a tool call to the question: arguments encoded, metrics taken, subjects extracted."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import frozen

from handlebar.core.measuring import Measured, approx_records
from handlebar.core.metrics.hooks import (
    AgentMetricHookRegistry,
    AgentMetricInputToolAfter,
    AgentMetricInputToolBefore,
)
from handlebar.core.plane import Phase
from handlebar.core.schema.subjects import SubjectRef
from handlebar.core.subject_registry import SubjectRegistry, sanitise_subjects
from handlebar.core.tool_meta import ToolMeta


@frozen(kw_only=True)
class ToolUse:
    """
    One call of a tool as a hook was told of it.

    Attributes:
        tags: The tags given at the call, else those registered for the tool.

        explain: Whether the decision is to say how it came about.
    """

    name: str
    tags: tuple[str, ...]
    args: Any
    result: Any = None
    error: Any = None
    duration_ms: float | None = None
    explain: bool = False


@frozen(kw_only=True)
class Findings:
    """What was measured of a call: its values as JSON, its metrics, its subjects."""

    args: Measured
    result: Measured | None
    metrics: Mapping[str, float]
    subjects: tuple[SubjectRef, ...]


@frozen
class Examiner:
    """Measures calls with the client's hooks and extractors; what those raise stays here."""

    hooks: AgentMetricHookRegistry
    subjects: SubjectRegistry | None
    on_error: Callable[[str, str], None]

    def examine(self, phase: Phase, use: ToolUse, run: Any) -> Findings:
        """Measure *use*; never raises an Exception for what a hook of the user's does."""
        args = Measured.of(use.args)
        result = Measured.of(use.result) if phase == "tool.after" else None
        metrics = _inbuilt(use, args, result)
        if self.hooks.is_used:
            self._run_hooks(phase, use, run, metrics)
        return Findings(args=args, result=result, metrics=metrics, subjects=self._extract(use, run))

    def _run_hooks(self, phase: Phase, use: ToolUse, run: Any, metrics: dict[str, float]) -> None:
        def keep(key: str, value: float, unit: str | None = None) -> None:
            _keep(metrics, key, value)

        self.hooks.run_phase(phase, _context(phase, use, run), keep, on_error=self.on_error)

    def _extract(self, use: ToolUse, run: Any) -> tuple[SubjectRef, ...]:
        if self.subjects is None:
            return ()
        found: Sequence[SubjectRef] = self.subjects.extract(
            tool=ToolMeta(tags=use.tags),
            tool_name=use.name,
            tool_args=use.args,
            run=run,
            on_error=self.on_error,
        )
        return tuple(sanitise_subjects(found))


def _context(phase: Phase, use: ToolUse, run: Any) -> AgentMetricInputToolBefore | AgentMetricInputToolAfter:
    if phase == "tool.before":
        return AgentMetricInputToolBefore(tool_name=use.name, args=use.args, run=run)
    return AgentMetricInputToolAfter(tool_name=use.name, args=use.args, run=run, result=use.result, error=use.error)


def _inbuilt(use: ToolUse, args: Measured, result: Measured | None) -> dict[str, float]:
    metrics: dict[str, float] = {"bytes_in": args.size}
    _keep(metrics, "records_in", None if use.args is None else approx_records(use.args))
    if result is not None:
        metrics["bytes_out"] = result.size
        _keep(metrics, "records_out", None if use.result is None else approx_records(use.result))
        _keep(metrics, "duration_ms", use.duration_ms)
    return metrics


def _keep(metrics: dict[str, float], key: str, value: float | None) -> None:
    """Keep a number that others can count with; whoever measured it may have given us anything."""
    try:
        if value is not None and math.isfinite(value):
            metrics[key] = value
    except (OverflowError, TypeError):
        return
