"""Policies and calls in a line, for tests of what rules do."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from handlebar.core.schema.rules import (
    CustomCondition,
    Effect,
    Policy,
    Rule,
    RuleCondition,
    RuleEffect,
    RuleSelector,
    ToolNameCondition,
    ToolPattern,
)
from handlebar.policy.engine import Engine, compile_policies
from handlebar.policy.facts import Call

ALWAYS = ToolNameCondition(op="glob", value="*")
NEVER = ToolNameCondition(op="eq", value="no such tool")
MISSING = CustomCondition(name="not registered")
NOON = datetime(2026, 7, 1, 12, 0, tzinfo=timezone.utc)
"""A Wednesday."""


def call_of(tool_name: str = "refund", **fields: Any) -> Call:
    """Return a call before which rules are asked, unless *fields* say otherwise."""
    return Call(**{"phase": "tool.before", "agent_slug": "desk", "tool_name": tool_name, "now": NOON, **fields})


def rule_of(id: str = "r", condition: RuleCondition = ALWAYS, effect: Effect = "block", **fields: Any) -> Rule:  # noqa: A002  # the field's own name
    """Return a rule for every tool, unless *fields* say otherwise."""
    about = {name: fields.pop(name) for name in ("reason", "control", "guidance") if name in fields}
    selector = RuleSelector(phase=fields.pop("phase", "tool.before"), tool=fields.pop("tool", ToolPattern()))
    return Rule(
        **{"id": id, "policy_id": "p", "name": f"rule {id}", "condition": condition, "selector": selector}
        | {"effect": RuleEffect(type=effect, **about)}
        | fields
    )


def policy_of(*rules: Rule, **fields: Any) -> Policy:
    """Return an enforced policy for every agent, unless *fields* say otherwise."""
    return Policy(**{"id": "p", "name": "policy", "rules": rules, **fields})


def engine_of(*rules: Rule, **fields: Any) -> Engine:
    """Return the engine of one policy."""
    return compile_policies([policy_of(*rules, **fields)], agent_slug="desk")
