"""Who answers for a run: one object, chosen when the run starts and swapped when that changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from attrs import evolve, frozen

from handlebar._plumbing import logs
from handlebar._plumbing.clock import Deadline
from handlebar._plumbing.interrupts import is_interrupt
from handlebar._plumbing.once import Once
from handlebar._plumbing.time_limits import told
from handlebar.core.plane import ControlPlane, EvaluateRequest, Lockdown, LockdownNotice
from handlebar.core.registration import Registration
from handlebar.core.schema.governance import (
    FAILCLOSED_DECISION,
    FAILOPEN_DECISION,
    AllowCause,
    Decision,
    LockdownCause,
    RunControl,
    Verdict,
)
from handlebar.errors import ControlPlaneError

NOT_GOVERNED = Decision(
    verdict=Verdict.ALLOW,
    control=RunControl.CONTINUE,
    cause=AllowCause(),
    message="Not enforced",
)
"""What shadow and off mode hand to the caller."""

RUN_ENDED = Decision(
    verdict=Verdict.BLOCK,
    control=RunControl.TERMINATE,
    cause=LockdownCause(),
    message="The run has ended; start a new run to call tools",
)
"""What an enforced run answers once it has ended."""

MakeRequest = Callable[[str], EvaluateRequest]
"""Builds the question for an agent id; called only by sources that really ask."""


class DecisionSource(Protocol):
    """Answers the questions of one run."""

    def decide(self, make_request: MakeRequest) -> Decision:
        """Answer the question that *make_request* builds; never raises an Exception."""
        ...


@frozen
class AlwaysAnswer:
    """Asks nobody and gives the same answer to every question: mode off, a lockdown, an ended run."""

    answer: Decision

    def decide(self, make_request: MakeRequest) -> Decision:
        """Give the answer."""
        return self.answer


@frozen
class AskControlPlane:
    """
    Asks the control plane; where it cannot be asked, gives *unavailable*.

    Attributes:
        budget: Seconds that one decision may take in all.
    """

    plane: ControlPlane
    registration: Registration
    unavailable: Decision
    budget: float

    def decide(self, make_request: MakeRequest) -> Decision:
        """Ask, within the budget."""
        deadline = Deadline.after(self.budget)
        # A child of a fork that goes on with a run has yet to register.
        agent_id = self.registration.ensure()
        if agent_id is None:
            return self.unavailable
        try:
            return self.plane.evaluate(make_request(agent_id), budget=deadline.remaining())
        except ControlPlaneError as error:
            logs.warn_once_a_minute(f"decide:{error.reason}", "No decision could be had: %s", error)
        except Exception as error:  # a fault of ours must become the stock answer, not the agent's problem
            if is_interrupt(error):
                raise
            logs.warn_once_a_minute("decide:bug", "Asking for a decision failed: %s", told(error))
        return self.unavailable


class StartLater:
    """
    Stands in while the agent is not registered: gives *unavailable*, and hands over once *start* can be called.

    Thread-safe; *start* is called once, with the agent id, when a question comes after the registration.
    """

    def __init__(
        self, registration: Registration, unavailable: Decision, start: Callable[[str], DecisionSource]
    ) -> None:
        self._registration = registration
        self._unavailable = unavailable
        self._start = start
        self._begun: Once[bool] = Once()
        self._source: DecisionSource = AlwaysAnswer(unavailable)

    def decide(self, make_request: MakeRequest) -> Decision:
        """Ask whoever answers by now."""
        agent_id = self._registration.ensure()
        if agent_id is not None and self._begun.claim(True):
            self._source = self._start(agent_id)
        return self._source.decide(make_request)


def stock_answer(*, fail_closed: bool) -> Decision:
    """Return what a caller gets when nobody can be asked."""
    return FAILCLOSED_DECISION if fail_closed else FAILOPEN_DECISION


def locked_down(lockdown: Lockdown) -> Decision:
    """Return what a run answers whose agent was locked down when it started."""
    message = f"Agent is locked down: {lockdown.reason}" if lockdown.reason else "Agent is locked down"
    return evolve(FAILCLOSED_DECISION, message=message)


def under_lockdown(notice: LockdownNotice) -> Decision:
    """Return what a run in progress answers once a lockdown was seen that forbids the call."""
    stock = locked_down(Lockdown(active=True, reason=notice.reason, until_ts=notice.until_ts))
    return evolve(stock, cause=LockdownCause(notice.id))
