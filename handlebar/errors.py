"""
Every error that Handlebar raises, in one tree.

HandlebarError
├── ConfigError (also a ValueError)
│   └── PolicyError
├── NotInitialisedError
├── NoCurrentRunError
├── ToolBlockedError
├── RunTerminatedError
├── ApprovalPendingError
└── ControlPlaneError
    ├── UnreachableError
    ├── RefusedError
    └── BadAnswerError

A `ControlPlaneError` never leaves a hook: it becomes the fail-open or fail-closed decision.
"""

from __future__ import annotations

from collections.abc import Sequence

from handlebar.core.schema.governance import Decision


class HandlebarError(Exception):
    """The root of all errors of this package."""


class ConfigError(HandlebarError, ValueError):
    """
    A value given to Handlebar is not one it can work with.

    Attributes:
        field: The name of the field, dotted where it is nested.
    """

    def __init__(self, field: str, value: object, allowed: str) -> None:
        super().__init__(f"{field}: {_shown(value)} is not allowed; expected {allowed}")
        self.field = field
        self.value = value
        self.allowed = allowed

    def __reduce__(self) -> tuple[type[ConfigError], tuple[str, object, str]]:
        return type(self), (self.field, self.value, self.allowed)


class PolicyError(ConfigError):
    """
    A policy cannot be loaded.

    Attributes:
        problems: Every problem found, each as `file:line: path: what is wrong, what is allowed`.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        HandlebarError.__init__(self, "\n".join(self.problems))
        self.field = "policies"

    def __reduce__(self) -> tuple[type[PolicyError], tuple[tuple[str, ...]]]:  # type: ignore[override]
        return type(self), (self.problems,)


class NotInitialisedError(HandlebarError):
    """`handlebar.get_client()` was called before `handlebar.init()`."""


class NoCurrentRunError(HandlebarError):
    """A guarded tool was called where no run is current."""


class ToolBlockedError(HandlebarError):
    """
    Policy blocked a tool call; the run may go on.

    Attributes:
        decision: The decision that blocked the call.
    """

    def __init__(self, decision: Decision) -> None:
        super().__init__(decision.message)
        self.decision = decision

    def __reduce__(self) -> tuple[type[HandlebarError], tuple[Decision]]:
        return type(self), (self.decision,)


class RunTerminatedError(HandlebarError):
    """
    Policy stopped the run; no further tool call of it will be allowed.

    Attributes:
        decision: The decision that stopped the run.
    """

    def __init__(self, decision: Decision) -> None:
        super().__init__(decision.message)
        self.decision = decision

    def __reduce__(self) -> tuple[type[HandlebarError], tuple[Decision]]:
        return type(self), (self.decision,)


class ApprovalPendingError(HandlebarError):
    """
    A person has to approve a tool call before it can be made; the run is parked until then.

    Attributes:
        decision: The decision that asks.

        approval_id: The question to the person.

        resume_token: What `client.resume_run(token)` takes, in any process, to go on with the run. It names the
            run and whom it acts for, and is no secret key.
    """

    def __init__(self, decision: Decision, approval_id: str, resume_token: str) -> None:
        super().__init__(f"{decision.message} (approval {approval_id})")
        self.decision = decision
        self.approval_id = approval_id
        self.resume_token = resume_token

    def __reduce__(self) -> tuple[type[HandlebarError], tuple[Decision, str, str]]:
        return type(self), (self.decision, self.approval_id, self.resume_token)


class ControlPlaneError(HandlebarError):
    """
    The control plane gave no usable answer.

    Attributes:
        reason: One word for counters: `network`, `timeout`, `circuit`, `http_401`, `answer`, ….
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[object, ...]:
        return _remade, (type(self), self.args[0], vars(self))


class UnreachableError(ControlPlaneError):
    """Nobody answered: network, TLS, time limit, an open circuit, a database that cannot be used."""


class RefusedError(ControlPlaneError):
    """
    The control plane answered with a status that is not 2xx.

    Attributes:
        status: The HTTP status.

        retry_after: What the server asked to wait, in seconds, if it did.
    """

    def __init__(self, message: str, *, status: int, retry_after: float | None = None) -> None:
        super().__init__(message, reason=f"http_{status}")
        self.status = status
        self.retry_after = retry_after


class BadAnswerError(ControlPlaneError):
    """The control plane's answer is not what the wire format promises."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="answer")


def _shown(value: object) -> str:
    """Show *value* briefly; a repr that raises is no reason to hide the real error."""
    try:
        text = repr(value)
    except Exception:
        text = f"<{type(value).__name__}>"
    return text if len(text) <= 80 else f"{text[:77]}..."


def _remade(kind: type[ControlPlaneError], message: str, state: dict[str, object]) -> object:
    """Rebuild a pickled error, whose initialiser takes keyword-only arguments."""
    error = kind.__new__(kind, message)
    error.args = (message,)
    vars(error).update(state)
    return error
