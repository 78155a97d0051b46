"""The letters that the rule-based planner writes."""

from __future__ import annotations

from refund_desk_parts.conversation import Conversation, Step
from refund_desk_parts.wishes import Wish


def letter(story: Conversation, wish: Wish) -> tuple[str, str]:
    """Return subject and body of the answer to the ticket, from what has come of it."""
    lines = {"refund": _about_refunds, "export": _about_export, "question": _about_question}[wish.kind](story)
    body = "\n".join([f"Dear {story.ticket.name},", "", *lines, "", "Your Lantern & Loom desk"])
    return f"Re: {story.ticket.subject}", body


def _about_refunds(story: Conversation) -> list[str]:
    check = story.last("verify_identity")
    if check is not None and check.outcome != "done":
        return ["What you told us does not match our records. Please check your date of birth and postcode."]
    looked_up = [step for step in story.steps if step.call.name == "look_up_order"]
    return [_about_order(story, step) for step in looked_up] or ["Please tell us the number of the order."]


def _about_order(story: Conversation, found: Step) -> str:
    order = found.call.args["order_id"]
    refund = story.last("issue_refund", order_id=order)
    if found.outcome != "done":
        return f"We find no order {order}. Please check the number."
    if refund is None:
        return f"Order {order} has been refunded already."
    return _about_refund(story, order, refund)


def _about_refund(story: Conversation, order: str, refund: Step) -> str:
    if refund.outcome == "done":
        return f"We have refunded {refund.call.args['amount']:.2f} EUR for order {order}."
    if refund.outcome == "waiting":
        return f"A colleague will look at order {order}; your reference is {refund.approval_id}."
    if refund.outcome == "failed":
        return f"We cannot refund order {order}: {refund.text}"
    if not story.is_done("verify_identity"):
        return f"Before we can refund order {order}, please tell us your date of birth and postcode."
    return f"I may not refund order {order} myself; a colleague will take over."


def _about_export(story: Conversation) -> list[str]:
    if story.is_done("export_customer_data"):
        return ["The data you asked for has been put together."]
    return ["To export data we need the date of birth and postcode of the person it is about."]


def _about_question(story: Conversation) -> list[str]:
    found = [step.result for step in story.steps if step.call.name == "look_up_order" and step.outcome == "done"]
    known = [f"Order {order['id']} ({order['item']}): {order['status']}." for order in found]
    return known or ["Thank you for writing. We have read your message; a colleague answers within a day."]
