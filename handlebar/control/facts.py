"""The facts of one decision: the past from the database, the rest from the host application."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen
from sqlalchemy import Connection

from handlebar.control import history
from handlebar.control.history import Caller
from handlebar.control.host import HostAnswers
from handlebar.core.schema.metrics import InbuiltAgentMetricKind
from handlebar.policy.facts import Call, CountQuery, MetricQuery, PastCall, UnavailableError

_DURATION = InbuiltAgentMetricKind.DURATION_MS.value


@frozen
class StoredFacts:
    """Implements `Facts` inside one transaction."""

    connection: Connection
    caller: Caller
    host: HostAnswers
    metrics: Mapping[str, float]

    def past_calls(self) -> Sequence[PastCall]:
        """Return the run's allowed calls, as `Facts` says."""
        return history.past_calls(self.connection, self.caller)

    def count_calls(self, query: CountQuery) -> int:
        """Count, as `Facts` says."""
        return history.count_calls(self.connection, self.caller, query)

    def metric(self, query: MetricQuery) -> float:
        """Aggregate, as `Facts` says."""
        return history.metric(self.connection, self.caller, query, self.metrics.get(query.key))

    def run_tool_time_ms(self) -> float:
        """Add up, as `Facts` says."""
        try:
            return self.metric(MetricQuery(scope="run", key=_DURATION, aggregate="sum"))
        except UnavailableError:  # no tool of the run has ended yet
            return 0.0

    def signal(self, key: str, args: Mapping[str, Any]) -> Any:
        """Ask the host, as `Facts` says."""
        return self.host.signal(key, args)

    def custom(self, name: str, args: Mapping[str, Any], call: Call) -> bool:
        """Ask the host, as `Facts` says."""
        return self.host.custom(name, args, call)


@frozen
class NoPast:
    """Implements `Facts` where no rule looks back; the engine has said so beforehand."""

    host: HostAnswers

    def past_calls(self) -> Sequence[PastCall]:
        """There are none to be seen from here."""
        raise UnavailableError("The past was not read")

    def count_calls(self, query: CountQuery) -> int:
        """As above."""
        raise UnavailableError("The past was not read")

    def metric(self, query: MetricQuery) -> float:
        """As above."""
        raise UnavailableError("The past was not read")

    def run_tool_time_ms(self) -> float:
        """As above."""
        raise UnavailableError("The past was not read")

    def signal(self, key: str, args: Mapping[str, Any]) -> Any:
        """Ask the host, as `Facts` says."""
        return self.host.signal(key, args)

    def custom(self, name: str, args: Mapping[str, Any], call: Call) -> bool:
        """Ask the host, as `Facts` says."""
        return self.host.custom(name, args, call)
