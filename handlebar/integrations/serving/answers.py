"""What a web application answers where an agent's tool call was refused: a status, and a body of JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from handlebar.core.schema.governance import FAILCLOSED_DECISION
from handlebar.errors import ApprovalPendingError, RunTerminatedError, ToolBlockedError

REFUSALS = (ToolBlockedError, RunTerminatedError, ApprovalPendingError)
"""The errors that have an answer."""


@frozen
class Answer:
    """An HTTP answer, for whichever framework."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str]


def answer_to(error: Exception) -> Answer | None:
    """
    Return what to answer where *error* has left a view; None where it is none of `REFUSALS`.

    A pending approval is told by its id alone: a resume token names whom the run acts for, and whoever sends one back
    goes on in that name, so it stays in the application.
    """
    if isinstance(error, ApprovalPendingError):
        return Answer(202, {"approval": {"id": error.approval_id, "message": error.decision.message}}, {})
    if not isinstance(error, (ToolBlockedError, RunTerminatedError)):
        return None
    if error.decision == FAILCLOSED_DECISION:
        return _problem(503, "unreachable", "Policy cannot be asked at present", {"Retry-After": "5"})
    code = "blocked" if isinstance(error, ToolBlockedError) else "terminated"
    return _problem(403, code, error.decision.message, {})


def _problem(status: int, code: str, message: str, headers: Mapping[str, str]) -> Answer:
    return Answer(status, {"error": {"code": code, "message": message}}, headers)
