"""How a decision came about: what each rule, and each part of its condition, said of the call."""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from handlebar.core.schema.effects import Effect

TraceAnswer = Literal["matched", "notMatched", "missing", "skipped"]
"""What was found; `missing`: a value could not be had; `skipped`: nobody had to look."""


@frozen(kw_only=True)
class ConditionTrace:
    """
    What one condition, or one part of it, said of a call.

    Attributes:
        kind: The kind of condition.

        asks: What it asks for, in words.

        because: What was found that made the answer, in words.

        parts: What those said that it joins.
    """

    kind: str
    asks: str
    answer: TraceAnswer
    because: str
    parts: tuple[ConditionTrace, ...] = ()


@frozen(kw_only=True)
class RuleTrace:
    """
    What one rule said of a call.

    Attributes:
        answer: `skipped` where the rule is not for such a call.

        because: Why, in words.

        effect: What is to be done by this rule; None where it says nothing.

        enforced: False of a rule in shadow mode, which is only reported.

        condition: What its condition said; None where nobody had to look.
    """

    rule_id: str
    rule_name: str
    policy_id: str
    answer: TraceAnswer
    because: str
    effect: Effect | None = None
    enforced: bool = True
    condition: ConditionTrace | None = None
