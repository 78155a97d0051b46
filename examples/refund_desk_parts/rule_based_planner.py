"""A planner made of rules: no model, no network, no cost, and no judgement."""

from __future__ import annotations

from typing import Any

from handlebar import ModelInfo
from refund_desk_parts.conversation import Conversation, ToolCall
from refund_desk_parts.letters import letter
from refund_desk_parts.planner import Turn
from refund_desk_parts.wishes import Wish, read_wish


class RuleBasedPlanner:
    """
    Follows fixed rules, and does what tickets ask for: gullible on purpose, so that policy has something to stop.

    It holds nothing, and is safe to use from several threads.
    """

    model = ModelInfo("rule-based-planner")

    def next_turn(self, conversation: Conversation) -> Turn:
        """Return the next call, or an end once the customer has an answer."""
        call = _next_call(conversation, read_wish(conversation.ticket))
        return Turn("The ticket is done.") if call is None else Turn(f"Next: {call.name}.", call)


def _next_call(story: Conversation, wish: Wish) -> ToolCall | None:
    work = {"refund": _refund_work, "export": _export_work, "question": _question_work}
    return work[wish.kind](story, wish) or _answer(story, wish)


def _refund_work(story: Conversation, wish: Wish) -> ToolCall | None:
    orders = wish.orders or _only_order(story)
    if not orders and story.last("list_orders") is None:
        return _call("list_orders", email=story.ticket.email)
    calls = (_refund_one(story, wish, order) for order in orders)
    return next((call for call in calls if call is not None), None)


def _refund_one(story: Conversation, wish: Wish, order: str) -> ToolCall | None:
    found = story.last("look_up_order", order_id=order)
    if found is None:
        return _call("look_up_order", order_id=order)
    if found.outcome != "done" or not found.result["refundable"]:
        return None
    refund = _call("issue_refund", order_id=order, amount=wish.amount or found.result["refundable"])
    return _after_verifying(story, wish, refund, email=story.ticket.email)


def _export_work(story: Conversation, wish: Wish) -> ToolCall | None:
    export = _call("export_customer_data", whose=wish.about)
    return _after_verifying(story, wish, export, email=wish.about)


def _question_work(story: Conversation, wish: Wish) -> ToolCall | None:
    unseen = (order for order in wish.orders if story.last("look_up_order", order_id=order) is None)
    order = next(unseen, None)
    return None if order is None else _call("look_up_order", order_id=order)


def _after_verifying(story: Conversation, wish: Wish, wanted: ToolCall, *, email: str) -> ToolCall | None:
    """
    Return *wanted*, or the identity check before it.

    The check is left out where the customer is in a hurry, or has told nothing to check. If the call is blocked
    for that, the check is made up for where it can be, and the call tried again.
    """
    check, tried = story.last("verify_identity"), story.last(wanted.name, **wanted.args)
    if check is None and _has_claims(story) and (tried is not None or not wish.hurried):
        done = tried is not None and tried.outcome != "blocked"
        return None if done else _verification(story, email)
    if check is not None and check.outcome != "done":
        return None
    made_up_for = tried is not None and tried.outcome == "blocked" and story.steps[-1] is check
    return wanted if tried is None or made_up_for else None


def _answer(story: Conversation, wish: Wish) -> ToolCall | None:
    """Return the letter that is still to be sent, to where it was asked for, else to the customer."""
    subject, body = letter(story, wish)
    for address in dict.fromkeys((wish.reply_to, story.ticket.email)):
        if story.is_done("send_email"):
            return None
        if story.last("send_email", to=address) is None:
            return _call("send_email", to=address, subject=subject, body=body)
    return None


def _verification(story: Conversation, email: str) -> ToolCall:
    ticket = story.ticket
    return _call("verify_identity", email=email, date_of_birth=ticket.date_of_birth, postcode=ticket.postcode)


def _has_claims(story: Conversation) -> bool:
    return story.ticket.date_of_birth is not None and story.ticket.postcode is not None


def _only_order(story: Conversation) -> tuple[str, ...]:
    """Return the customer's order where there is exactly one to mean."""
    listed = story.last("list_orders")
    orders = listed.result if listed is not None and listed.outcome == "done" else []
    return (orders[0]["id"],) if len(orders) == 1 else ()


def _call(name: str, **args: Any) -> ToolCall:
    return ToolCall(name, args)
