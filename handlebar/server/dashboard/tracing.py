"""Why calls were decided so: the rule that decided, asked again with what the record holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from handlebar.control.audit import StoredEvent
from handlebar.control.policy_store import PolicyRecord
from handlebar.control.service import EmbeddedControlPlane
from handlebar.core.schema.rules import Policy
from handlebar.core.schema.traces import RuleTrace
from handlebar.errors import RefusedError
from handlebar.policy.replaying import CallReader, RecordedCall, Replay

_DECISION = "tool.decision"


def traces(plane: EmbeddedControlPlane, events: Sequence[StoredEvent]) -> list[RuleTrace | None]:
    """
    Return for each of a run's *events* what the rule said that decided, and why; None where that cannot be told.

    It is told of the rule as it was then, from the events alone: of what was before they know only this run.
    """
    return list(Tracer(plane).traces(events))


class Tracer:
    """Asks the rules of one run again; lives as long as that is read."""

    def __init__(self, plane: EmbeddedControlPlane) -> None:
        self._plane = plane
        self._agents = {each.id: each.described for each in plane.agents()}
        self._reader = CallReader()
        self._calls: list[RecordedCall] = []
        self._replays: dict[tuple[str, int], Replay] = {}
        self._histories: dict[str, Sequence[PolicyRecord]] = {}

    def traces(self, events: Sequence[StoredEvent]) -> Iterator[RuleTrace | None]:
        """Yield one for each of *events*."""
        for event in events:
            body = event.read()
            data = body.get("data") if isinstance(body, dict) else None
            calls = list(self._reader.calls_of(event.agent_id, body)) if event.agent_id in self._agents else []
            if calls and event.kind == _DECISION and isinstance(data, dict):
                self._count(calls[:-1])
                yield self._trace(calls[-1], data)
                self._count(calls[-1:])
            else:
                self._count(calls)
                yield None

    def _count(self, calls: Sequence[RecordedCall]) -> None:
        self._calls += calls
        for replay in self._replays.values():
            for call in calls:
                replay.decide(call)

    def _trace(self, call: RecordedCall, data: Mapping[str, Any]) -> RuleTrace | None:
        if not call.by_rules or call.rule_id is None:
            return None
        for policy_id, version in _versions(data):
            policy = self._policy(policy_id, version)
            if policy is not None and any(rule.id == call.rule_id for rule in policy.rules):
                explained = self._replay(policy, version).explain(call).rules
                return next(each for each in explained if each.rule_id == call.rule_id)
        return None

    def _replay(self, policy: Policy, version: int) -> Replay:
        """Return what asks that version of the policy, with all calls so far."""
        key = (policy.id, version)
        if key not in self._replays:
            self._replays[key] = Replay([policy], self._agents.__getitem__)
            for call in self._calls:
                self._replays[key].decide(call)
        return self._replays[key]

    def _policy(self, policy_id: str, version: int) -> Policy | None:
        if policy_id not in self._histories:
            self._histories[policy_id] = self._history(policy_id)
        return next((each.policy for each in self._histories[policy_id] if each.version == version), None)

    def _history(self, policy_id: str) -> Sequence[PolicyRecord]:
        try:
            return self._plane.policy_history(policy_id)
        except RefusedError:
            return ()


def _versions(data: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield the policies that were in force, as far as the event tells."""
    listed = data.get("policyVersions")
    for each in listed if isinstance(listed, list) else ():
        policy_id, version = (each.get("policyId"), each.get("version")) if isinstance(each, dict) else (None, None)
        if isinstance(policy_id, str) and isinstance(version, int):
            yield policy_id, version
