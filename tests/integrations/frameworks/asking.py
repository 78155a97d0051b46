"""A control plane that asks people: the real one, in memory, which notes what it is asked."""

from __future__ import annotations

from typing import Any

from handlebar.control import open_control_plane
from handlebar.core.plane import ApprovalStatus, EvaluateRequest, Lockdown, StartRequest
from handlebar.core.schema.governance import Decision
from tests.support.control import a_policy, a_rule
from tests.support.planes import ScriptedPlane

BLOCKED = "Blocked by policy: Somebody has to look at it"
A_NO = 'Blocked by policy: Denied by a person under rule "pay: hitl": Somebody has to look at it'
"""What the model gets for what is blocked, and for a payment to which a person has said no."""


def _rule(tool: str, effect: str) -> Any:
    rule = a_rule({"kind": "toolName", "op": "endsWith", "value": tool}, effect, name=f"{tool}: {effect}")
    rule["effect"]["reason"] = "Somebody has to look at it"
    return rule


class AskingPlane(ScriptedPlane):
    """Asks a person about every payment, blocks what deletes, and allows the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.real = open_control_plane("sqlite://", policies=[a_policy(_rule("pay", "hitl"), _rule("delete", "block"))])

    def questions(self, status: ApprovalStatus = "pending") -> list[Any]:
        """Return the arguments of the payments that people were asked about, oldest first."""
        return [each.args for each in reversed(self.real.approvals(status=status))]

    def answer_all(self, answer: Any) -> None:
        """Be the person, and answer whatever is open."""
        for each in self.real.approvals(status="pending"):
            self.real.respond(each.id, answer, responded_by="ann")

    def register_agent(self, agent: Any, tools: Any, *, budget: float) -> str:
        self._note("register", (agent, tools))
        return self.real.register_agent(agent, tools, budget=budget)

    def start_run(self, request: StartRequest, *, budget: float) -> Lockdown:
        self._note("start", request)
        return self.real.start_run(request, budget=budget)

    def evaluate(self, request: EvaluateRequest, *, budget: float) -> Decision:
        self._note("evaluate", request)
        return self.real.evaluate(request, budget=budget)

    def approval_status(self, approval_id: str, *, budget: float) -> ApprovalStatus:
        return self.real.approval_status(approval_id, budget=budget)

    def close(self) -> None:
        super().close()
        self.real.close()
