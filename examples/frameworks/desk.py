"""What every example here shares: a tool, a policy, and a client whose control plane is in memory."""

from __future__ import annotations

import sys

import handlebar

ONLINE = "--online" in sys.argv
"""Whether a real model is asked; its key is in the environment. Otherwise a scripted one answers."""

QUESTION = "Refund order A-17: 900 euros, please."
ARGUMENTS = {"order_id": "A-17", "amount": 900}

RULE = {
    "name": "No refund above 500",
    # Tools of MCP servers are called mcp__<server>__<tool> by some.
    "selector": {"phase": "tool.before", "tool": {"name": "*issue_refund"}},
    "condition": {"kind": "toolArg", "type": "number", "path": "amount", "op": "gt", "value": 500},
    "effect": {"type": "block", "reason": "Refunds above 500 are for a person to make."},
}

hb = handlebar.init("refund-desk", api_endpoint="sqlite://", policies=[{"name": "Money", "rules": [RULE]}])


def issue_refund(order_id: str, amount: float) -> str:
    """Pay the money for an order back."""
    print("MONEY LEFT THE HOUSE", order_id, amount)
    return "refunded"


def report(answer: object) -> None:
    """Print what the agent said, and what became of its calls."""
    print("Agent:", answer)
    print("Decisions:", hb.stats().decisions)
