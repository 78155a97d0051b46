"""Tool calls as the audit trail tells of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any, TypeGuard

from attrs import Factory, define, evolve, frozen

from handlebar.core.plane import Phase
from handlebar.core.schema.agents import Actor
from handlebar.core.schema.metrics import InbuiltAgentMetricKind as Kind
from handlebar.core.schema.rules import Effect
from handlebar.core.schema.subjects import SubjectRef

KINDS = ("run.started", "llm.result", "tool.decision", "tool.result", "run.ended")
"""The kinds of events that tell something of calls."""


_TOKENS = {Kind.LLM_TOKENS_IN.value: "in", Kind.LLM_TOKENS_OUT.value: "out"}


@frozen(kw_only=True)
class RecordedCall:
    """
    A tool call, as it was recorded.

    Attributes:
        agent: What the reader was told of who has sent the event.

        args: None where they were too large to be recorded.

        effect: What the rules of then said, a person's yes included: `hitl`, and *allowed*.

        rule_id: The rule that decided.

        by_rules: Whether rules had decided; a lockdown decides by itself.
    """

    phase: Phase
    agent: str
    run_id: str
    at: datetime
    tool_name: str
    tool_tags: tuple[str, ...] = ()
    args: Any = None
    actor: Actor | None = None
    subjects: tuple[SubjectRef, ...] = ()
    metrics: Mapping[str, float] = Factory(dict)
    effect: Effect = "allow"
    allowed: bool = True
    rule_id: str | None = None
    by_rules: bool = True


@frozen
class _Over:
    """A call that is over; what was decided after it, if anything, comes with the next event of its run."""

    call: RecordedCall
    step: Any

    def is_meant(self, event: Mapping[str, Any], data: Mapping[str, Any]) -> bool:
        """Whether a decision is the one after this call: it bears the same step, which later calls leave behind."""
        return bool(event.get("stepIndex") == self.step) and _tool(data)["tool_name"] == self.call.tool_name


@define
class _Run:
    """What is known of a run that goes on."""

    actor: Actor | None = None
    tokens: dict[str, float] = Factory(dict)
    calls: dict[str, RecordedCall] = Factory(dict)
    over: _Over | None = None


class CallReader:
    """
    Makes recorded calls of audit events, which have to come in the order in which they were recorded.

    Lives as long as one reading. Events that others have sent may be of any form: what tells nothing is passed over.
    """

    def __init__(self) -> None:
        self._runs: dict[tuple[str, str], _Run] = {}

    def calls_of(self, agent: str, event: Any) -> Iterator[RecordedCall]:
        """
        Yield the calls that are complete with *event*, which *agent* has sent.

        A call after which rules were asked is complete with the event that comes next in its run: it may tell what
        was decided then.
        """
        data, run_id = _object(event).get("data"), _object(event).get("runId")
        if not isinstance(data, dict) or not isinstance(run_id, str):
            return
        run = self._runs.setdefault((agent, run_id), _Run())
        over, run.over = run.over, None
        decided = event.get("kind") == "tool.decision"
        if over is not None and decided and over.is_meant(event, data):
            yield evolve(over.call, **_decided(data))
            return
        if over is not None:
            yield over.call
        if decided:
            yield self._before(run, agent, run_id, event, data)
        self._note(run, agent, run_id, event, data)

    def rest(self) -> Iterator[RecordedCall]:
        """Yield the calls that no event came after."""
        for run in self._runs.values():
            if run.over is not None:
                yield run.over.call
        self._runs.clear()

    def _before(self, run: _Run, agent: str, run_id: str, event: Mapping[str, Any], data: Any) -> RecordedCall:
        size = _object(data.get("argsMeta")).get("bytes")
        measured = {Kind.BYTES_IN.value: size} if _is_number(size) else {}
        made = RecordedCall(
            phase="tool.before",
            agent=agent,
            run_id=run_id,
            at=_moment(event.get("ts")),
            actor=run.actor or _actor({"externalId": event.get("actorExternalId")}),
            args=data.get("args"),
            subjects=tuple(_subjects(data.get("subjects"))),
            metrics={**measured, **run.tokens},
            **_tool(data),
            **_decided(data),
        )
        run.tokens.clear()
        run.calls[made.tool_name] = made
        return made

    def _note(self, run: _Run, agent: str, run_id: str, event: Mapping[str, Any], data: Any) -> None:
        """Take note of what later events are about."""
        kind = event.get("kind")
        if kind == "run.started":
            run.actor = _actor(data.get("actor"))
        elif kind == "llm.result":
            for key, name in _TOKENS.items():
                number = _object(data.get("tokens")).get(name)
                run.tokens[key] = run.tokens.get(key, 0) + (number if _is_number(number) else 0)
        elif kind == "tool.result":
            run.over = _Over(_after(run, agent, run_id, event, data), event.get("stepIndex"))
        elif kind == "run.ended":
            self._runs.pop((agent, run_id), None)


def _after(run: _Run, agent: str, run_id: str, event: Mapping[str, Any], data: Mapping[str, Any]) -> RecordedCall:
    tool = _tool(data)
    before = run.calls.get(tool["tool_name"])
    return RecordedCall(
        phase="tool.after",
        agent=agent,
        run_id=run_id,
        at=_moment(event.get("ts")),
        actor=before.actor if before else run.actor,
        args=before.args if before else None,
        subjects=before.subjects if before else (),
        metrics=_metrics(data),
        **tool,
    )


def _decided(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was decided."""
    cause, allowed = _object(data.get("cause")), data.get("verdict") == "ALLOW"
    final = data.get("finalRuleId")
    violated = any(
        _object(each).get("ruleId") == final and _object(each).get("violated") is True
        for each in _list(data.get("evaluatedRules"))
    )
    # A rule that objected, and the call was allowed: somebody had been asked, and has said yes.
    asked = cause.get("kind") == "HITL_PENDING" or (allowed and violated)
    effect: Effect = "hitl" if asked else "allow" if allowed else "block"
    rule_id = final if isinstance(final, str) else None
    return {"effect": effect, "allowed": allowed, "rule_id": rule_id, "by_rules": cause.get("kind") != "LOCKDOWN"}


def _tool(data: Mapping[str, Any]) -> dict[str, Any]:
    tool = _object(data.get("tool"))
    tags = tuple(tag for tag in _list(tool.get("categories")) if isinstance(tag, str))
    return {"tool_name": str(tool.get("name", "")), "tool_tags": tags}


def _metrics(data: Mapping[str, Any]) -> dict[str, float]:
    groups = _object(data.get("metrics"))
    found = {**_object(groups.get("inbuilt")), **_object(groups.get("custom"))}
    values = {key: _object(metric).get("value") for key, metric in found.items()}
    return {key: value for key, value in values.items() if _is_number(value)}


def _actor(described: Any) -> Actor | None:
    name = _object(described).get("externalId")
    if not isinstance(name, str) or not name:
        return None
    metadata = {key: value for key, value in _object(described.get("metadata")).items() if isinstance(value, str)}
    return Actor(name, metadata=metadata or None)


def _subjects(listed: Any) -> Iterator[SubjectRef]:
    for each in map(_object, _list(listed)):
        kind, value = each.get("subjectType"), each.get("value")
        if isinstance(kind, str) and kind and isinstance(value, str):
            role, system = each.get("role"), each.get("idSystem")
            yield SubjectRef(
                kind, value, role if isinstance(role, str) else None, system if isinstance(system, str) else None
            )


def _moment(written: Any) -> datetime:
    """Return the time of an event; the beginning of time where it says none."""
    try:
        read = datetime.fromisoformat(str(written).replace("Z", "+00:00"))
    except ValueError:
        return datetime.fromtimestamp(0, timezone.utc)
    return read if read.tzinfo else read.replace(tzinfo=timezone.utc)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
