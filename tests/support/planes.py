"""A control plane that answers as it is told, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from typing import Any

from handlebar.core import wire
from handlebar.core.plane import (
    AgentStatus,
    ApprovalStatus,
    EncodedEvent,
    EvaluateRequest,
    Grants,
    Lockdown,
    Presence,
    RunEndStatus,
    StartRequest,
)
from handlebar.core.schema.agents import AgentDescriptor, Tool
from handlebar.core.schema.events import AuditEvent
from handlebar.core.schema.governance import (
    AllowCause,
    Decision,
    RuleViolationCause,
    RunControl,
    Verdict,
)

ALLOW = Decision(Verdict.ALLOW, RunControl.CONTINUE, AllowCause(), "No rule matched")
BLOCK = Decision(Verdict.BLOCK, RunControl.CONTINUE, RuleViolationCause("r-1"), "Too much", guidance="Ask for less.")
STOP = Decision(Verdict.BLOCK, RunControl.TERMINATE, RuleViolationCause("r-2"), "Enough")

Answer = Decision | Exception | Callable[[EvaluateRequest], Decision]


class ScriptedPlane:
    """
    Implements `ControlPlane` in memory.

    Args:
        answer: What `evaluate` gives: a decision, an exception to raise, or a function of the request.

        lockdown: What `start_run` gives, or an exception to raise.

        registering: An exception that `register_agent` raises, None where it works.
    """

    def __init__(
        self,
        answer: Answer = ALLOW,
        *,
        lockdown: Lockdown | Exception | None = None,
        registering: Exception | None = None,
    ) -> None:
        self.answer = answer
        self.lockdown: Lockdown | Exception = lockdown or Lockdown()
        self.registering = registering
        self.approval: ApprovalStatus = "pending"
        self.calls: list[tuple[str, Any]] = []
        self.events: list[AuditEvent] = []
        self.closed = 0
        self._lock = threading.Lock()

    def named(self, name: str) -> list[Any]:
        """Return what each call of that name was given."""
        return [given for called, given in self.calls if called == name]

    def kinds(self) -> list[str]:
        """Return the kinds of the recorded events, in order."""
        return [event.kind for event in self.events]

    def register_agent(self, agent: AgentDescriptor, tools: Sequence[Tool], *, budget: float) -> str:
        self._note("register", (agent, tuple(tools)))
        if self.registering is not None:
            raise self.registering
        return "agent-1"

    def register_tools(self, agent_id: str, tools: Sequence[Tool], *, budget: float) -> None:
        self._note("tools", tuple(tools))

    def start_run(self, request: StartRequest, *, budget: float) -> Lockdown:
        self._note("start", request)
        if isinstance(self.lockdown, Exception):
            raise self.lockdown
        return self.lockdown

    def evaluate(self, request: EvaluateRequest, *, budget: float) -> Decision:
        self._note("evaluate", request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer if isinstance(self.answer, Decision) else self.answer(request)

    def approval_status(self, approval_id: str, *, budget: float) -> ApprovalStatus:
        self._note("approval", approval_id)
        return self.approval

    def agent_status(self, agent_id: str, presence: Presence | None, *, budget: float) -> AgentStatus:
        self._note("status", presence)
        return AgentStatus()

    def budgets(self, agent_id: str, actors: Sequence[str], *, budget: float) -> Grants:
        self._note("budgets", actors)
        return Grants(60)

    def record(self, agent_id: str, batch_id: str, events: Sequence[EncodedEvent], *, budget: float) -> None:
        with self._lock:
            self.events.extend(wire.event_from_dict(json.loads(event.text)) for event in events)

    def end_run(self, agent_id: str, run_id: str, status: RunEndStatus, *, budget: float) -> None:
        self._note("end", (run_id, status))

    def close(self) -> None:
        self.closed += 1

    def _note(self, name: str, given: Any) -> None:
        with self._lock:
            self.calls.append((name, given))
