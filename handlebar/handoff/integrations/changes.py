"""What changes in a packet, told in full: the server takes context and actions as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from handlebar.handoff.builder import numbered
from handlebar.handoff.exceptions import invalid
from handlebar.handoff.models import (
    Actions,
    CompletedAction,
    Decision,
    FailedAction,
    PacketContext,
    PacketResponse,
    PendingAction,
)
from handlebar.handoff.models.base import Model

M = TypeVar("M", bound=Model)

Parts = Iterable[Any]
"""Records of the hand-off API, or dicts of their fields; what has no id gets one where it needs one."""


def changed_context(
    before: PacketResponse | None, summary: str | None, custom: Mapping[str, Any] | None
) -> PacketContext | None:
    """Return the context with another summary, or with more entries; None where neither is given."""
    if before is None or (summary is None and custom is None):
        return None
    return PacketContext(
        summary=before.context.summary if summary is None else summary,
        conversation_state=before.context.conversation_state,
        artifacts=before.context.artifacts,
        custom={**before.context.custom, **(custom or {})},
    )


def more_decisions(before: PacketResponse | None, decisions: Parts | None) -> list[Decision] | None:
    """Return the decisions to add, none of them with the id of another by chance; None where none is given."""
    if before is None or decisions is None:
        return None
    return named("d", decisions, Decision, after=before.decisions)


def changed_actions(
    before: PacketResponse | None, pending: Parts | None, completed: Parts | None, failed: Parts | None
) -> Actions | None:
    """Return all actions as they are from now on: an action that has ended is not to be done any more."""
    if before is None or (pending, completed, failed) == (None, None, None):
        return None
    known = before.actions
    done = named("c", completed, CompletedAction, after=known.completed)
    wrong = named("f", failed, FailedAction, after=known.failed)
    over = (*known.completed, *known.failed, *done, *wrong)
    todo = known.pending if pending is None else named("a", pending, PendingAction, after=over)
    ended = {each.id for each in done} | {each.id for each in wrong}
    return Actions(
        pending=[each for each in todo if each.id not in ended],
        completed=_merged(known.completed, done),
        failed=_merged([each for each in known.failed if each.id not in {one.id for one in done}], wrong),
    )


def named(letter: str, parts: Parts | None, kind: type[M], *, after: Sequence[Any] = ()) -> list[M]:
    """Return *parts*, each with an id: where one has none, the next number that nobody else has."""
    given = [{"id": None, **_fields(part, kind)} for part in parts or ()]
    return numbered(letter, given, kind, taken={each.id for each in after})


def _merged(known: Sequence[Any], more: Sequence[Any]) -> list[Any]:
    """Return *known* with *more*; one of the same id replaces."""
    return list({each.id: each for each in (*known, *more)}.values())


def _fields(part: Any, kind: type[M]) -> Mapping[str, Any]:
    if isinstance(part, Model):
        return part.to_dict()
    if not isinstance(part, Mapping):
        raise invalid("", f"{kind.__name__} records are needed, or dicts of their fields")
    return part
