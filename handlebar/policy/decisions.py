"""From what the rules say to the decision that the agent is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Literal

from attrs import frozen

from handlebar._plumbing.safe_json import canonical
from handlebar.core.schema.governance import (
    AllowCause,
    Decision,
    DecisionCause,
    HitlPendingCause,
    PolicyVersion,
    RuleViolationCause,
    RunControl,
    Verdict,
)
from handlebar.core.schema.rules import Effect, Rule, RuleEffect
from handlebar.policy.engine import Outcome
from handlebar.policy.versions import rule_version

_NO_OBJECTION = AllowCause()

ApprovalStatus = Literal["pending", "approved", "denied"]


@frozen
class ApprovalView:
    """As much of a question to a person, and of the answer, as a decision needs."""

    approval_id: str
    status: ApprovalStatus


@frozen(kw_only=True)
class _Answer:
    """What is particular to one row of the table "From effects to decisions"."""

    verdict: Verdict = Verdict.ALLOW
    control: RunControl = RunControl.CONTINUE
    cause: DecisionCause = _NO_OBJECTION
    message: str
    guidance: str | None = None


def decision_for(
    outcome: Outcome,
    *,
    approval: ApprovalView | None = None,
    decided_by: str | None = None,
    policy_versions: tuple[PolicyVersion, ...] = (),
) -> Decision:
    """
    Return the decision for *outcome*.

    Args:
        outcome: What the rules said.

        approval: What a person was asked, or has answered; looked at only where the effect is hitl.

        decided_by: Who decides, as the decision will say.

        policy_versions: The policies in force, as the decision will say.

    Raises:
        ValueError: The effect is hitl, and *approval* is not given.
    """
    rule = outcome.final_rule
    answer = _NO_RULE if rule is None else _answer(rule, outcome.effect, approval)
    return Decision(
        verdict=answer.verdict,
        control=answer.control,
        cause=answer.cause,
        message=answer.message,
        evaluated_rules=outcome.evaluated,
        final_rule_id=None if rule is None else rule.id,
        guidance=answer.guidance,
        shadow=outcome.shadow,
        decided_by=decided_by,
        policy_versions=policy_versions,
        trace=outcome.trace,
    )


def fingerprint(agent_id: str, rule: Rule, tool_name: str, args: Any) -> str:
    """
    Return what an approval is for.

    Another argument is another question, another order of them is not; so is a rule that has been changed.
    """
    return sha256(canonical([agent_id, rule.id, rule_version(rule), tool_name, args]).encode()).hexdigest()


def _answer(rule: Rule, effect: Effect, approval: ApprovalView | None) -> _Answer:
    # Where a missing value led to another effect, what the rule's author wrote is about something else.
    said = rule.effect if rule.effect.type == effect else RuleEffect(type=effect)
    if effect == "allow":
        return _Answer(message=said.reason or f'Allowed by rule "{rule.name}"', guidance=said.guidance)
    if effect == "block":
        return _blocked(rule, said)
    if approval is None:
        raise ValueError(f'rule "{rule.name}" asks a person: pass the approval to decision_for')
    return _BY_STATUS[approval.status](rule, said, approval)


def _blocked(rule: Rule, said: RuleEffect) -> _Answer:
    return _Answer(
        verdict=Verdict.BLOCK,
        control=RunControl(said.control or RunControl.CONTINUE),
        cause=RuleViolationCause(rule_id=rule.id),
        message=said.reason or f'Blocked by rule "{rule.name}"',
        guidance=said.guidance,
    )


def _pending(rule: Rule, said: RuleEffect, approval: ApprovalView) -> _Answer:
    return _Answer(
        verdict=Verdict.BLOCK,
        control=RunControl(said.control or RunControl.TERMINATE),
        cause=HitlPendingCause(approval_id=approval.approval_id, rule_id=rule.id),
        message=said.reason or f'Waiting for approval under rule "{rule.name}"',
        guidance=said.guidance,
    )


def _approved(rule: Rule, said: RuleEffect, approval: ApprovalView) -> _Answer:
    return _Answer(message=f'Approved by a person under rule "{rule.name}"')


def _denied(rule: Rule, said: RuleEffect, approval: ApprovalView) -> _Answer:
    """The reason says why a person was asked: without "denied" before it, it would read like a question still open."""
    denied = f'Denied by a person under rule "{rule.name}"'
    return _Answer(
        verdict=Verdict.BLOCK,
        cause=RuleViolationCause(rule_id=rule.id),
        message=f"{denied}: {said.reason}" if said.reason else denied,
        guidance=said.guidance,
    )


_NO_RULE = _Answer(message="No rule matched")
_BY_STATUS: Mapping[ApprovalStatus, Callable[[Rule, RuleEffect, ApprovalView], _Answer]] = {
    "pending": _pending,
    "approved": _approved,
    "denied": _denied,
}
