"""The inbox: what waits for a person's answer, in one list, with what is needed to give it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen
from flask import Response

from handlebar.control.approvals import ApprovalRecord
from handlebar.control.inbox import Waiting
from handlebar.errors import RefusedError
from handlebar.server.dashboard.handoffs import packet_of
from handlebar.server.dashboard.live import watching
from handlebar.server.dashboard.pages import Page, Visit, go_to, refused, show

_AT_ONCE = 10
_LATEST = 10
_MESSAGES = 10


@frozen(kw_only=True)
class Item:
    """
    Something that waits, with what its answer may depend on.

    Attributes:
        approval: The question of a rule; None where a packet waits.

        packet: The packet that waits, as it is on the wire; None where a rule asks.

        conversation: What was said last, each with `role` and `content`; untrusted.

        before: What was asked of the same tool of the same agent before.
    """

    waiting: Waiting
    approval: ApprovalRecord | None
    packet: Mapping[str, Any] | None
    conversation: Sequence[Mapping[str, Any]]
    before: Sequence[ApprovalRecord]


def _inbox(visit: Visit) -> str:
    plane = visit.plane
    answered = [each for each in plane.approvals(limit=_LATEST) if each.status != "pending"]
    items = [_item(visit, each) for each in visit.inbox.waiting(limit=_AT_ONCE)]
    more = len(items) == _AT_ONCE
    return show("inbox.html", visit, items=items, more=more, answered=answered, slugs=plane.agent_slugs())


def _item(visit: Visit, waiting: Waiting) -> Item:
    plane = visit.plane
    said = plane.last_messages(waiting.run_id, limit=_MESSAGES) if waiting.run_id is not None else []
    if waiting.kind == "packet":
        packet = packet_of(visit, waiting.id)
        return Item(
            waiting=waiting,
            approval=None,
            packet=packet,
            conversation=said or packet["context"]["conversation_state"],
            before=(),
        )
    approval = plane.approval(waiting.id)
    return Item(waiting=waiting, approval=approval, packet=None, conversation=said, before=plane.asked_before(approval))


def _answer(visit: Visit) -> Any:
    item_id, response = visit.names["item_id"], visit.field("response")
    who = visit.field("who") or visit.session.key.name
    try:
        visit.inbox.answer(item_id, response, responded_by=who, note=visit.field("note") or None)
    except RefusedError as error:
        return refused(visit, error.status, _who_was_first(visit, item_id) if error.status == 409 else str(error))
    return go_to("inbox", said=f"Your answer counts: {response[:100]}.")


def _who_was_first(visit: Visit, item_id: str) -> str:
    try:
        found = visit.plane.approval(item_id)
    except RefusedError:
        hitl = packet_of(visit, item_id).get("hitl") or {}
        return f"It is answered already. Answered by: {hitl.get('responded_by')} ({hitl.get('response')})."
    answers = ", ".join(f"{each.responded_by} ({each.status})" for each in found.answers)
    return f"It is {found.status} already. Answered by: {answers or 'nobody'}."


def _live(visit: Visit) -> Response:
    inbox = visit.inbox
    return watching(lambda: tuple(each.id for each in inbox.waiting()))


PAGES = (
    Page("GET", "/inbox", "inbox", _inbox),
    Page("GET", "/live/inbox", "inbox_live", _live),
    Page("POST", "/inbox/<item_id>", "inbox_answer", _answer, changes=True),
)
