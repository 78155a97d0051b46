"""From outcomes to decisions."""

from __future__ import annotations

import re
from typing import Any

import pytest

from handlebar.core.schema.governance import (
    AllowCause,
    Decision,
    HitlPendingCause,
    RuleEval,
    RuleViolationCause,
    RunControl,
    ShadowEffect,
    Verdict,
)
from handlebar.core.schema.rules import Effect
from handlebar.policy.decisions import ApprovalView, decision_for, fingerprint
from handlebar.policy.engine import Outcome
from tests.support.policies import rule_of

PENDING = ApprovalView("a1", "pending")
APPROVED = ApprovalView("a1", "approved")
DENIED = ApprovalView("a1", "denied")
RULE = rule_of(id="rule")


def decided(effect: Effect, approval: ApprovalView | None = None, **fields: Any) -> Decision:
    """Return the decision where a rule of those *fields* has won."""
    rule = rule_of(**{"effect": effect, "name": "Refunds", **fields})
    return decision_for(Outcome(effect=effect, final_rule=rule), approval=approval)


class TestDecisionFor:
    def test_nothing_matched(self) -> None:
        """Where no rule matched the call may run."""
        expected = Decision(Verdict.ALLOW, RunControl.CONTINUE, AllowCause(), "No rule matched")

        assert expected == decision_for(Outcome())

    @pytest.mark.parametrize(
        ("effect", "approval", "fields", "verdict", "control", "cause"),
        [
            ("allow", None, {}, "ALLOW", "CONTINUE", AllowCause()),
            ("allow", None, {"control": "TERMINATE"}, "ALLOW", "CONTINUE", AllowCause()),
            ("block", None, {}, "BLOCK", "CONTINUE", RuleViolationCause("r")),
            ("block", None, {"control": "TERMINATE"}, "BLOCK", "TERMINATE", RuleViolationCause("r")),
            ("hitl", PENDING, {}, "BLOCK", "TERMINATE", HitlPendingCause("a1", "r")),
            ("hitl", PENDING, {"control": "CONTINUE"}, "BLOCK", "CONTINUE", HitlPendingCause("a1", "r")),
            ("hitl", APPROVED, {}, "ALLOW", "CONTINUE", AllowCause()),
            ("hitl", APPROVED, {"control": "TERMINATE"}, "ALLOW", "CONTINUE", AllowCause()),
            ("hitl", DENIED, {}, "BLOCK", "CONTINUE", RuleViolationCause("r")),
            ("hitl", DENIED, {"control": "TERMINATE"}, "BLOCK", "CONTINUE", RuleViolationCause("r")),
            ("block", APPROVED, {}, "BLOCK", "CONTINUE", RuleViolationCause("r")),
        ],
    )
    def test_table(self, effect: Any, approval: Any, fields: Any, verdict: str, control: str, cause: Any) -> None:
        """Verdict, control and cause are as the table says; an approval lifts no block."""
        decision = decided(effect, approval, **fields)

        assert (verdict, control, cause) == (decision.verdict.value, decision.control.value, decision.cause)
        assert "r" == decision.final_rule_id

    @pytest.mark.parametrize(
        ("effect", "approval", "plain", "reasoned"),
        [
            ("allow", None, 'Allowed by rule "Refunds"', "Because"),
            ("block", None, 'Blocked by rule "Refunds"', "Because"),
            ("hitl", PENDING, 'Waiting for approval under rule "Refunds"', "Because"),
            (
                "hitl",
                APPROVED,
                'Approved by a person under rule "Refunds"',
                'Approved by a person under rule "Refunds"',
            ),
            (
                "hitl",
                DENIED,
                'Denied by a person under rule "Refunds"',
                'Denied by a person under rule "Refunds": Because',
            ),
        ],
    )
    def test_message(self, effect: Any, approval: Any, plain: str, reasoned: str) -> None:
        """The message is the reason, or says what happened; a denial never reads like an open question."""
        assert plain == decided(effect, approval).message
        assert reasoned == decided(effect, approval, reason="Because").message

    @pytest.mark.parametrize(
        ("expected", "effect", "approval"),
        [
            ("Look it up", "allow", None),
            ("Look it up", "block", None),
            ("Look it up", "hitl", PENDING),
            ("Look it up", "hitl", DENIED),
            (None, "hitl", APPROVED),
        ],
    )
    def test_guidance(self, expected: str | None, effect: Any, approval: Any) -> None:
        """What to do instead is told, but not where a person has said yes."""
        assert expected == decided(effect, approval, guidance="Look it up").guidance

    @pytest.mark.parametrize(
        ("written", "effect", "message", "control"),
        [
            ("block", "allow", 'Allowed by rule "Refunds"', "CONTINUE"),
            ("allow", "block", 'Blocked by rule "Refunds"', "CONTINUE"),
            ("block", "hitl", 'Waiting for approval under rule "Refunds"', "TERMINATE"),
            ("hitl", "block", 'Blocked by rule "Refunds"', "CONTINUE"),
        ],
    )
    def test_effect_of_a_missing_value(self, written: Any, effect: Any, message: str, control: str) -> None:
        """Reason, control and guidance are for the effect that they were written for, not for onMissing's."""
        other = "CONTINUE" if control == "TERMINATE" else "TERMINATE"
        rule = rule_of(effect=written, name="Refunds", reason="Because", guidance="Do", control=other)
        decision = decision_for(Outcome(effect=effect, final_rule=rule), approval=PENDING)

        assert (message, control, None) == (decision.message, decision.control.value, decision.guidance)

    def test_hitl_needs_an_approval(self) -> None:
        """A person's answer cannot be forgotten."""
        with pytest.raises(ValueError, match='"Refunds" asks a person'):
            decided("hitl")

    def test_what_was_evaluated(self) -> None:
        """The evaluated rules and the shadow effects go into every decision."""
        evaluated = (RuleEval("r", enabled=True, matched=False, violated=False),)
        shadow = (ShadowEffect("s", "block", "Would"),)
        decision = decision_for(Outcome(evaluated=evaluated, shadow=shadow))

        assert (evaluated, shadow) == (decision.evaluated_rules, decision.shadow)


class TestFingerprint:
    def test_form(self) -> None:
        """It is a SHA-256, the same for the same question."""
        mark = fingerprint("agent", RULE, "refund", {"amount": 5})

        assert re.fullmatch("[0-9a-f]{64}", mark)
        assert mark == fingerprint("agent", rule_of(id="rule"), "refund", {"amount": 5})

    def test_order_of_arguments(self) -> None:
        """The order of names does not matter."""
        one = fingerprint("agent", RULE, "refund", {"a": 1, "b": [1, 2]})

        assert one == fingerprint("agent", RULE, "refund", {"b": [1, 2], "a": 1})

    @pytest.mark.parametrize(
        "other",
        [
            ("agent2", RULE, "refund", {"a": 1}),
            ("agent", rule_of(id="rule2"), "refund", {"a": 1}),
            ("agent", RULE, "Refund", {"a": 1}),
            ("agent", RULE, "refund", {"a": "1"}),
            ("agent", RULE, "refund", {"a": True}),
            ("agent", RULE, "refund", {"a": [1]}),
            ("agent", RULE, "refund", {"a": 1, "b": None}),
            ("agent", rule_of(id="rule", priority=3), "refund", {"a": 1}),
        ],
    )
    def test_another_question(self, other: Any) -> None:
        """Another agent, rule, version of the rule, tool or argument is another question."""
        assert fingerprint("agent", RULE, "refund", {"a": 1}) != fingerprint(*other)
