"""Trying a policy before anybody has to obey it: on one call, and on what was called lately."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from attrs import frozen

from handlebar.control.audit import StoredEvent
from handlebar.control.service import EmbeddedControlPlane
from handlebar.core.schema.rules import Policy
from handlebar.errors import ConfigError, PolicyError
from handlebar.policy.cases import load_call
from handlebar.policy.explaining import Explanation
from handlebar.policy.replaying import CallReader, RecordedCall, Replay, Replayed, Summary
from handlebar.server.dashboard.pages import Visit

MOST_RUNS = 1_000
"""So many of the latest runs are decided again at most."""

_MOST_EVENTS = 20_000
_SHOWN = 20
HOURS = {"1": 1, "24": 24, "168": 168}
"""How far back one may look."""


@frozen(kw_only=True)
class Replaying:
    """
    What would have been decided otherwise.

    Attributes:
        shown: Some of the calls that would change.

        cut: Whether there was more than is looked at.
    """

    summary: Summary
    shown: Sequence[Replayed]
    cut: bool


def one_call(visit: Visit, tried: Policy) -> Explanation:
    """
    Return what the policies in force, with *tried* among them, say of the call that a form describes.

    Raises:
        ConfigError: It describes none.
    """
    tags = [tag.strip() for tag in visit.field("tags").split(",") if tag.strip()]
    given = {name: visit.field(name) for name in ("tool", "agent", "actor") if visit.field(name)}
    described: dict[str, Any] = {**given, "args": _arguments(visit.field("args"))}
    described["at"] = datetime.now(timezone.utc).isoformat()
    try:
        call = load_call({**described, "tags": tags} if tags else described)
    except PolicyError as error:
        raise ConfigError("call", given, "; ".join(error.problems)) from error
    return call.explain(with_tried(visit.plane, tried))


def replay(visit: Visit, tried: Policy) -> Replaying:
    """Decide the calls of the runs that began in the last hours again, with *tried* among the policies in force."""
    plane = visit.plane
    since = datetime.now(timezone.utc) - timedelta(hours=HOURS.get(visit.field("hours"), 24))
    events = plane.events_of_runs_since(since, most_runs=MOST_RUNS, limit=_MOST_EVENTS)
    described = {each.id: each.described for each in plane.agents()}
    deciding, summary, shown = Replay(with_tried(plane, tried), described.__getitem__), Summary(), list[Replayed]()
    for call in _calls(events):
        again = deciding.decide(call)
        if again is None:
            summary.passed_over += 1
            continue
        summary.add(again)
        if again.changed and len(shown) < _SHOWN:
            shown.append(again)
    return Replaying(summary=summary, shown=shown, cut=len(events) == _MOST_EVENTS)


def with_tried(plane: EmbeddedControlPlane, tried: Policy) -> list[Policy]:
    """Return the policies in force, with *tried* in the place of the one with its id."""
    return [*(each for each in plane.policies() if each.id != tried.id), tried]


def _arguments(text: str) -> Any:
    try:
        read = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        read = None
    if not isinstance(read, dict):
        raise ConfigError("args", text[:100], 'a JSON object such as {"amount": 900}')
    return read


def _calls(events: Sequence[StoredEvent]) -> Iterator[RecordedCall]:
    reader = CallReader()
    for event in events:
        yield from reader.calls_of(event.agent_id, event.read())
    yield from reader.rest()
