"""The seam between asking and deciding: what a control plane is asked, and what it answers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from attrs import Factory, field, frozen

from handlebar.core.budgets import BudgetGrant
from handlebar.core.measuring import Measured
from handlebar.core.schema import checks
from handlebar.core.schema.agents import Actor, AgentDescriptor, ModelInfo, Tool
from handlebar.core.schema.governance import Decision
from handlebar.core.schema.subjects import SubjectRef

Phase = Literal["tool.before", "tool.after"]
"""When a rule is asked: before the tool runs, or after."""

RunEndStatus = Literal["success", "error", "interrupted", "timeout"]
"""How a run may end."""


ApprovalStatus = Literal["pending", "approved", "denied", "expired", "used"]
"""What has become of a question to a person; `used`: approved, and the call has been made."""


@frozen(kw_only=True)
class StartRequest:
    """
    A run that is about to start; or that is parked, or goes on: a second time only its time to live is taken.

    Attributes:
        run_ttl_ms: After so many milliseconds the run has ended, whether its process is still there to say so or not.
    """

    run_id: str
    agent_id: str
    session_id: str | None = None
    actor: Actor | None = None
    model: ModelInfo | None = None
    run_ttl_ms: float | None = None


@frozen
class Lockdown:
    """
    Whether the agent may act at all.

    Attributes:
        active: True while nothing is allowed.

        reason: Why, in words.

        until_ts: When it ends, milliseconds since 1970 (UTC); None for open end.
    """

    active: bool = False
    reason: str | None = None
    until_ts: int | None = None


PolicyState = Literal["enabled", "disabled", "shadow"]
"""What becomes of a policy's rules: enforced, not asked, or only reported."""

_text_or_none = checks.optional(checks.text)


@frozen(kw_only=True)
class LockdownNotice:
    """
    A lockdown in force, as those who have to obey it are told of it.

    Attributes:
        id: What it is called; None where the control plane does not say.

        reason: Why, in words.

        actor: The external id of the one actor that it is about; None for all.

        tool: The name of the one tool that it is about, in any case; None for all.

        until_ts: When it ends, milliseconds since 1970 (UTC); None for open end.
    """

    id: str | None = field(default=None, validator=_text_or_none)
    reason: str | None = field(default=None, validator=_text_or_none)
    actor: str | None = field(default=None, validator=_text_or_none)
    tool: str | None = field(default=None, validator=_text_or_none)
    until_ts: int | None = None


@frozen
class PolicyStatus:
    """A policy that is for the agent, and what becomes of its rules."""

    id: str
    name: str
    status: PolicyState


@frozen
class AgentStatus:
    """How an agent stands: the lockdowns in force, and the policies that are for it."""

    lockdowns: tuple[LockdownNotice, ...] = ()
    policies: tuple[PolicyStatus, ...] = ()


@frozen(kw_only=True)
class Presence:
    """
    A process that acts for an agent.

    Attributes:
        process: Tells it from all others.

        host: The machine that it runs on.

        obeys: The ids of the lockdowns that it has been told of, and obeys.
    """

    process: str
    host: str
    obeys: tuple[str, ...] = ()


@frozen
class Grants:
    """What is left of an agent's budgets; *expires_seconds* says how long that is to be believed."""

    expires_seconds: float
    grants: tuple[BudgetGrant, ...] = ()


@frozen(kw_only=True)
class EvaluateRequest:
    """
    One question: may this call run (`tool.before`), was it all right (`tool.after`)?

    Attributes:
        tool_tags: The tags given at the call, else those registered for the tool.

        args: The arguments, encoded once; `args.value()` gives them back as plain JSON values.

        result: What the tool returned; None before it ran.

        actor: The run's actor; over HTTP only its external id travels.

        tags: The run's tags.

        metrics: Numbers by key, built-in and custom.

        explain: Whether the decision is to say how it came about.
    """

    phase: Phase
    run_id: str
    agent_id: str
    tool_name: str
    tool_tags: tuple[str, ...] = ()
    args: Measured
    result: Measured | None = None
    actor: Actor | None = None
    tags: Mapping[str, str] = Factory(dict)
    subjects: tuple[SubjectRef, ...] = ()
    metrics: Mapping[str, float] = Factory(dict)
    explain: bool = False


@frozen
class EncodedEvent:
    """
    An audit event as JSON text, and what it is filed by.

    Attributes:
        ts: When it happened, ISO 8601 in UTC.

        known: The same as JSON values, where somebody has them already; None where nobody has.
    """

    run_id: str
    kind: str
    ts: str
    text: str
    known: Mapping[str, Any] | None = field(default=None, eq=False, repr=False)

    def read(self) -> Mapping[str, Any]:
        """Return the event as JSON values; an empty one, where it is no JSON object."""
        if self.known is not None:
            return self.known
        read = json.loads(self.text)
        return read if isinstance(read, dict) else {}


@frozen
class PolicySnapshot:
    """
    What is in force for one agent, policies and lockdowns, so that another process can decide by it.

    Attributes:
        version: The same for the same content.

        text: The content, as JSON.
    """

    version: str
    text: str


class ControlPlane(Protocol):
    """
    Who decides and remembers: over HTTP, or embedded in this process.

    Every method blocks, is safe to call from any thread and after a fork, and raises nothing but
    `ControlPlaneError`. *budget* is the time in seconds that the whole call may take, retries included.
    """

    def register_agent(self, agent: AgentDescriptor, tools: Sequence[Tool], *, budget: float) -> str:
        """Make the agent known, or find it by its slug; return its id. One attempt."""
        ...

    def register_tools(self, agent_id: str, tools: Sequence[Tool], *, budget: float) -> None:
        """Make *tools* known for the agent. One attempt."""
        ...

    def start_run(self, request: StartRequest, *, budget: float) -> Lockdown:
        """Tell that a run starts, and learn whether the agent is locked down. One attempt."""
        ...

    def evaluate(self, request: EvaluateRequest, *, budget: float) -> Decision:
        """Decide one call. Retried within the *budget*."""
        ...

    def approval_status(self, approval_id: str, *, budget: float) -> ApprovalStatus:
        """Tell what has become of a question to a person. One attempt."""
        ...

    def agent_status(self, agent_id: str, presence: Presence | None, *, budget: float) -> AgentStatus:
        """Tell how the agent stands, and take note who asks. One attempt."""
        ...

    def budgets(self, agent_id: str, actors: Sequence[str], *, budget: float) -> Grants:
        """Tell what is left of the agent's budgets, and of those of *actors* (external ids). One attempt."""
        ...

    def record(self, agent_id: str, batch_id: str, events: Sequence[EncodedEvent], *, budget: float) -> None:
        """Store *events*, once for each *batch_id*. One attempt: the sink that calls this retries."""
        ...

    def end_run(self, agent_id: str, run_id: str, status: RunEndStatus, *, budget: float) -> None:
        """Tell that a run has ended. Retried within the *budget*."""
        ...

    def close(self) -> None:
        """Let go of connections; may be called twice."""
        ...
