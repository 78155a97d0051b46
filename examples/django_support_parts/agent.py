"""The agent: here a few rules, where yours asks a language model what to do next."""

from __future__ import annotations

from collections.abc import Iterator

from django_support_parts.tools import issue_refund, look_up_order


def refund(order: str) -> Iterator[str]:
    """Refund what is left of *order*, and tell each step."""
    found = look_up_order(order)
    left = found["total"] - found["refunded"]
    yield f"{left:.2f} of order {order} can be refunded"
    if left > 0:
        yield issue_refund(order, left)
