"""What the engine is told about a call, and what it may ask about the past."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from attrs import Factory, frozen

from handlebar.core.plane import Phase
from handlebar.core.schema.agents import Actor
from handlebar.core.schema.subjects import SubjectRef


class UnavailableError(Exception):
    """A fact cannot be had (unknown signal, failed provider, metric without data): onMissing decides."""


@frozen(kw_only=True)
class Call:
    """
    One tool call as rules see it.

    Attributes:
        agent_slug: The agent that calls.

        args: The arguments as plain JSON values.

        metrics: The numbers reported with this call, by key.

        now: The time of the call, aware.
    """

    phase: Phase
    agent_slug: str
    agent_tags: tuple[str, ...] = ()
    tool_name: str
    tool_tags: tuple[str, ...] = ()
    args: Any = None
    result: Any = None
    actor: Actor | None = None
    run_tags: Mapping[str, str] = Factory(dict)
    subjects: tuple[SubjectRef, ...] = ()
    metrics: Mapping[str, float] = Factory(dict)
    now: datetime


@frozen
class PastCall:
    """A call of the same run that was allowed before this one."""

    tool_name: str
    tool_tags: tuple[str, ...] = ()


class CallMatch(Protocol):
    """Which tools a condition looks at."""

    def matches(self, tool_name: str, tool_tags: Sequence[str]) -> bool:
        """Whether a call of that tool, with those tags, is one of them."""
        ...


@frozen(kw_only=True)
class CountQuery:
    """
    How many allowed calls are there already (the present one left out)?

    Attributes:
        scope: `run`, `agent` or `agent_user`.

        calls: Which calls count.

        window_seconds: How far back; None for all time.

        run_tags: Only runs that bear these tags count.

        enough: Whoever counts may stop at this number.
    """

    scope: str
    calls: CallMatch
    window_seconds: float | None = None
    run_tags: Mapping[str, str] = Factory(dict)
    enough: int | None = None


@frozen(kw_only=True)
class MetricQuery:
    """
    What is the aggregate of a metric, the present call's own report included?

    Attributes:
        scope: `run`, `agent` or `agent_user`.

        key: The metric's key.

        aggregate: `sum`, `avg`, `max`, `min` or `count`.

        window_seconds: How far back; None for all time.
    """

    scope: str
    key: str
    aggregate: str
    window_seconds: float | None = None


class Facts(Protocol):
    """
    The past, as far as rules ask for it.

    The engine calls these only where a rule needs them. Each may raise `UnavailableError`.
    """

    def past_calls(self) -> Sequence[PastCall]:
        """The run's allowed calls, oldest first."""
        ...

    def count_calls(self, query: CountQuery) -> int:
        """The number of allowed calls that *query* asks for."""
        ...

    def metric(self, query: MetricQuery) -> float:
        """The aggregate that *query* asks for; UnavailableError where there is no value at all."""
        ...

    def run_tool_time_ms(self) -> float:
        """How long the run's tools have run in all, this call included, in milliseconds."""
        ...

    def signal(self, key: str, args: Mapping[str, Any]) -> Any:
        """The value of the host application's signal *key* for *args*."""
        ...

    def custom(self, name: str, args: Mapping[str, Any], call: Call) -> bool:
        """What the host application's function *name* says of *call*."""
        ...
