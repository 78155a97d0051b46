"""The words of a decision: verdict, control, cause and the rules that were tried."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import ClassVar, Union

from attrs import field, frozen

from handlebar.core.schema.traces import RuleTrace


class _Word(str, Enum):
    """A string enum whose `str()` is the word on the wire (StrEnum needs Python 3.11)."""

    __str__ = str.__str__


class Verdict(_Word):
    """May the call run?"""

    ALLOW = "ALLOW"
    BLOCK = "BLOCK"


class RunControl(_Word):
    """May the run go on?"""

    CONTINUE = "CONTINUE"
    TERMINATE = "TERMINATE"


@frozen
class AllowCause:
    """Nothing spoke against the call."""

    kind: ClassVar[str] = "ALLOW"


@frozen
class RuleViolationCause:
    """The rule *rule_id* blocked the call."""

    kind: ClassVar[str] = "RULE_VIOLATION"
    rule_id: str


@frozen
class HitlPendingCause:
    """A person has been asked (human in the loop) and has not answered yet."""

    kind: ClassVar[str] = "HITL_PENDING"
    approval_id: str
    rule_id: str | None = None


@frozen
class LockdownCause:
    """Agent, actor, tool or run may do nothing at present."""

    kind: ClassVar[str] = "LOCKDOWN"
    lockdown_id: str | None = None


DecisionCause = Union[AllowCause, RuleViolationCause, HitlPendingCause, LockdownCause]
"""Why a decision says what it says; told apart by `kind`."""


@frozen
class RuleEval:
    """How one rule took part in a decision."""

    rule_id: str
    enabled: bool
    matched: bool
    violated: bool


@frozen
class ShadowEffect:
    """What a rule in shadow mode would have done: *effect* is `block` or `hitl`."""

    rule_id: str
    effect: str
    message: str


@frozen
class PolicyVersion:
    """Which version of which policy was in force."""

    policy_id: str
    version: int


def _rule_evals(rules: Iterable[RuleEval]) -> tuple[RuleEval, ...]:
    return tuple(rules)


def _shadow_effects(effects: Iterable[ShadowEffect]) -> tuple[ShadowEffect, ...]:
    return tuple(effects)


def _policy_versions(versions: Iterable[PolicyVersion]) -> tuple[PolicyVersion, ...]:
    return tuple(versions)


@frozen
class Decision:
    """
    The answer to "may this tool call run, and may the run go on?".

    Immutable and safe to share between threads.

    Attributes:
        verdict: ALLOW or BLOCK.

        control: CONTINUE or TERMINATE.

        cause: Why; one of the four kinds of `DecisionCause`.

        message: The reason in words, for people and models.

        evaluated_rules: Every enabled rule whose selector met the call.

        final_rule_id: The rule that decided, if one did.

        guidance: What the model may do instead, where the rule's author said so (our extension).

        shadow: What rules in shadow mode would have done (our extension).

        decided_by: `control_plane`, `embedded` (the same, inside this process) or `local` (this process, by the
            control plane's policies); None where nobody decided, or nobody said who (our extension).

        policy_versions: The policies for this agent that were in force (our extension).

        trace: What each rule said of the call, and why; None where nobody has asked for that, or no rule was asked
            (our extension).
    """

    verdict: Verdict = field(converter=Verdict)
    control: RunControl = field(converter=RunControl)
    cause: DecisionCause
    message: str
    evaluated_rules: tuple[RuleEval, ...] = field(default=(), converter=_rule_evals)
    final_rule_id: str | None = None
    guidance: str | None = None
    shadow: tuple[ShadowEffect, ...] = field(default=(), converter=_shadow_effects)
    decided_by: str | None = None
    policy_versions: tuple[PolicyVersion, ...] = field(default=(), converter=_policy_versions)
    trace: tuple[RuleTrace, ...] | None = None

    @property
    def allowed(self) -> bool:
        """Whether the call may run."""
        return self.verdict is Verdict.ALLOW

    @property
    def terminates(self) -> bool:
        """Whether the run has to stop."""
        return self.control is RunControl.TERMINATE


FAILOPEN_DECISION = Decision(
    verdict=Verdict.ALLOW,
    control=RunControl.CONTINUE,
    cause=AllowCause(),
    message="API unavailable; failing open",
)
"""What a caller gets when nobody could be asked and the client fails open."""

FAILCLOSED_DECISION = Decision(
    verdict=Verdict.BLOCK,
    control=RunControl.TERMINATE,
    cause=LockdownCause(),
    message="API unavailable; failing closed",
)
"""What a caller gets when nobody could be asked and the client fails closed."""
