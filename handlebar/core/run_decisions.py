"""The decisions of one run: who makes them, what they stop, and which of them wait for a person."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

from attrs import evolve

from handlebar._plumbing.awaiting import warn_of_stall
from handlebar._plumbing.clock import Deadline
from handlebar._plumbing.once import Once
from handlebar.core.deciding import NOT_GOVERNED, AlwaysAnswer, DecisionSource
from handlebar.core.pending_tokens import PendingTokens
from handlebar.core.plane import ApprovalStatus, EvaluateRequest, Phase
from handlebar.core.questions import Findings, ToolUse
from handlebar.core.run_parts import RunParts
from handlebar.core.schema.governance import Decision, HitlPendingCause, RunControl
from handlebar.errors import ConfigError

_EXPIRED = "Nobody answered in time: the question has expired"

# How often a person's answer is looked for, in seconds: soon at first, in case somebody is sitting there.
_FIRST_NAP = 0.1
_LONGEST_NAP = 2.0
_FOREVER = 1e9


class RunDecisions:
    """
    Decides on a run's tool calls, and records what was decided.

    A decision that stops the run answers for it from then on. So does an open question to a person, until it is
    answered, for every call that has not begun. Lives as long as the run; thread-safe.

    Attributes:
        made: Every decision so far, oldest first.

        tokens: What the model has used since the last question to the control plane.
    """

    def __init__(self, parts: RunParts) -> None:
        self.made: list[Decision] = []
        self.tokens = PendingTokens()
        self._parts = parts
        self._stop: Once[Decision] = Once()
        self._end: Once[Decision] = Once()
        self._asked: dict[str, ToolUse] = {}

    @property
    def is_stopped(self) -> bool:
        """Whether an enforced decision has said TERMINATE."""
        return self._stop.value is not None

    def close(self, answer: Decision) -> None:
        """Give *answer* to every question from now on."""
        self._end.claim(answer)

    def decide(self, phase: Phase, use: ToolUse, run: Any) -> Decision:
        """Return what the caller is to obey about *use*, a call of *run*."""
        began = perf_counter()
        found: list[Findings] = []

        def make_request(agent_id: str) -> EvaluateRequest:
            found.append(self._parts.examiner.examine(phase, use, run))
            return self._request(agent_id, phase, use, found[0], run)

        decision = self._who_answers(phase).decide(make_request)
        # Another thread's TERMINATE, come meanwhile, stands above an answer that was under way. A question to a
        # person does not: it might have used up a person's answer to this call.
        latched = self._stop.value
        decision = decision if latched is None or _waits(latched) else latched
        latency_ms = (perf_counter() - began) * 1000
        warn_of_stall("before_tool or after_tool", began)
        self._record(phase, use, found[0] if found else None, decision, latency_ms, run.current_step_index)
        return self._hand_out(phase, use, decision)

    def once_answered(
        self,
        decision: Decision,
        run: Any,
        *,
        use: ToolUse | None = None,
        timeout: float | None,
        is_over: Callable[[], bool],
    ) -> Decision:
        """
        Wait for the person's answer to *decision*; then decide on *use*, and on nothing else.

        While a question is open it answers every call of the run; a yes to one of them is no yes to another.

        Args:
            decision: One of these decisions, which waits for a person.

            run: The run.

            use: The call that is held up; the one that the question is about where it is None.

            timeout: Seconds to wait; None for as long as the run lasts.

            is_over: Whether the run has ended.

        Raises:
            ConfigError: *decision* is not one that waits for a person.
        """
        cause = decision.cause
        asked = self._asked.get(cause.approval_id) if isinstance(cause, HitlPendingCause) else None
        held_up = use or asked
        if held_up is None or not isinstance(cause, HitlPendingCause):
            raise ConfigError("decision", decision, "a decision of this run that waits for a person")
        deadline = Deadline.after(_FOREVER if timeout is None else timeout)
        status = self._answer_to(cause.approval_id, deadline, is_over=is_over)
        if status is None:
            return decision
        self._stop.release(decision)
        if status == "expired" and held_up is asked:
            return evolve(decision, control=RunControl.CONTINUE, message=_EXPIRED)
        return self.decide("tool.before", held_up, run)

    def _answer_to(self, approval_id: str, deadline: Deadline, *, is_over: Callable[[], bool]) -> ApprovalStatus | None:
        """Wait for a person's answer; None where there is none in time."""
        nap = _FIRST_NAP
        while not is_over():
            status = self._parts.approval_status(approval_id)
            if status not in (None, "pending"):
                return status
            if deadline.passed or not self._parts.pause(min(nap, deadline.remaining())):
                return None
            nap = min(nap * 2, _LONGEST_NAP)
        return None

    def _who_answers(self, phase: Phase) -> DecisionSource:
        """Return who is asked: an open question holds up calls that have not begun, not the results of others."""
        final, latched = self._end.value, self._stop.value
        if final is not None:
            return AlwaysAnswer(final)
        if latched is None or (phase == "tool.after" and _waits(latched)):
            return self._parts.source
        return AlwaysAnswer(latched)

    def _request(self, agent_id: str, phase: Phase, use: ToolUse, findings: Findings, run: Any) -> EvaluateRequest:
        return EvaluateRequest(
            phase=phase,
            run_id=run.run_id,
            agent_id=agent_id,
            tool_name=use.name,
            tool_tags=use.tags,
            args=findings.args,
            result=findings.result,
            actor=run.actor,
            tags=run.tags,
            subjects=findings.subjects,
            metrics={**findings.metrics, **self.tokens.take()},
            explain=use.explain,
        )

    def _record(
        self, phase: Phase, use: ToolUse, found: Findings | None, decision: Decision, latency_ms: float, step: int
    ) -> None:
        self.made.append(decision)
        self._parts.on_decision(decision)
        recorder = self._parts.recorder
        if phase == "tool.after":
            recorder.tool_ended(use, found.metrics if found else {}, step_index=step)
        if phase == "tool.before" or not decision.allowed or decision.shadow:
            recorder.decided(decision, use, found, step_index=step, latency_ms=latency_ms)

    def _hand_out(self, phase: Phase, use: ToolUse, decision: Decision) -> Decision:
        """Return what the caller gets; a TERMINATE that is enforced answers for the run from now on."""
        if not self._parts.enforced:
            return NOT_GOVERNED
        if phase == "tool.before":
            self._parts.minutes.decided(use, decision)
        if phase == "tool.before" and isinstance(decision.cause, HitlPendingCause):
            # The first is whom the question is about; others get it as an answer while it is open.
            self._asked.setdefault(decision.cause.approval_id, use)
        if decision.terminates:
            self._latch(decision)
        return decision

    def _latch(self, decision: Decision) -> None:
        """Answer by *decision* from now on; an open question gives way to a stop for good."""
        latched = self._stop.value
        if latched is not None and _waits(latched) and not _waits(decision):
            self._stop.release(latched)
        self._stop.claim(decision)


def _waits(decision: Decision) -> bool:
    """Whether *decision* waits for a person."""
    return isinstance(decision.cause, HitlPendingCause)
