"""The tools of the agent: each call of one is decided by policy before it runs."""

from __future__ import annotations

from typing import Any

import handlebar

_TOTALS = {"A-17": 40.0, "A-18": 250.0, "A-19": 900.0}
_refunded: dict[str, float] = {}


@handlebar.tool(tags=["orders", "read"])
def look_up_order(order: str) -> dict[str, Any]:
    """Look up one order: its total, and how much of it was refunded."""
    return {"order": order, "total": _TOTALS[order], "refunded": _refunded.get(order, 0.0)}


@handlebar.tool(tags=["payments", "write"], on_approval="raise")
def issue_refund(order: str, amount: float) -> str:
    """Give money back."""
    _refunded[order] = _refunded.get(order, 0.0) + amount
    return f"{amount:.2f} of order {order} refunded"
