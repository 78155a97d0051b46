"""
The audit events: one class a kind, each an envelope around its own data.

Events are made on the agent's own thread, so they hold what was at hand: the time as a number, values that
are JSON already as `RawJson`. Names, ISO times and JSON as the wire wants them are made by whoever ships them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, ClassVar

from attrs import frozen

from handlebar.core.schema.agents import Actor, ModelInfo
from handlebar.core.schema.governance import DecisionCause, PolicyVersion, RuleEval, RunControl, ShadowEffect, Verdict
from handlebar.core.schema.metrics import MetricInfo
from handlebar.core.schema.subjects import SubjectRef

SCHEMA = "handlebar.audit.v1"
"""The envelope's `schema` on the wire."""


@frozen
class RawJson:
    """A value that has been encoded as JSON already; it is put into an event as it stands."""

    text: str


@frozen
class OtelIds:
    """The OpenTelemetry trace and span that an event belongs to."""

    trace_id: str | None = None
    span_id: str | None = None


@frozen
class Sample:
    """Why an event was kept, where events are sampled."""

    rate: float | None = None
    reason: str | None = None


@frozen
class Redaction:
    """How much of an event's content was rewritten: `none`, `partial` or `strict` (withheld)."""

    level: str | None = None


@frozen(kw_only=True)
class AuditEvent:
    """
    The envelope that all events share.

    Attributes:
        time_ns: When it happened, nanoseconds since 1970 (UTC, wall clock).

        step_index: How many tool calls of the run were finished before.
    """

    kind: ClassVar[str] = ""

    time_ns: int
    run_id: str
    session_id: str | None = None
    step_index: int | None = None
    actor_external_id: str | None = None
    otel: OtelIds | None = None
    sample: Sample | None = None
    redaction: Redaction | None = None
    data: Any = None

    @property
    def ts(self) -> datetime:
        """The time as an aware datetime in UTC."""
        return datetime.fromtimestamp(self.time_ns / 1e9, tz=timezone.utc)


@frozen
class AgentIdentity:
    """The agent of a run, as `run.started` names it."""

    id: str | None = None
    name: str | None = None
    framework: str | None = None
    version: str | None = None


@frozen
class AdapterIdentity:
    """The code that speaks for the agent: `core`, or a framework's adapter."""

    name: str
    version: str | None = None


@frozen
class PolicyIdentity:
    """The policy that a run started under."""

    version: str | None = None
    rule_count: int | None = None


@frozen
class RequestIdentity:
    """The request that a run belongs to."""

    id: str | None = None
    traceparent: str | None = None


@frozen(kw_only=True)
class RunStartedData:
    """What `run.started` tells."""

    agent: AgentIdentity
    adapter: AdapterIdentity
    actor: Actor | None = None
    model: ModelInfo | None = None
    env: str | None = None
    policy: PolicyIdentity | None = None
    request: RequestIdentity | None = None


@frozen(kw_only=True)
class RunStartedEvent(AuditEvent):
    """A run has started."""

    kind: ClassVar[str] = "run.started"
    data: RunStartedData


@frozen(kw_only=True)
class MessageRawCreatedData:
    """One message to or from the model; *content* is text, JSON where the message was structured."""

    message_id: str
    role: str
    kind: str
    content: str
    content_truncated: bool
    turn_index: int | None = None
    name: str | None = None
    parent_message_id: str | None = None
    tags: tuple[str, ...] | None = None


@frozen(kw_only=True)
class MessageRawCreatedEvent(AuditEvent):
    """A message was sent to the model or came from it."""

    kind: ClassVar[str] = "message.raw.created"
    data: MessageRawCreatedData


@frozen
class ToolIdentity:
    """The tool of a call; *categories* are its tags."""

    name: str
    categories: tuple[str, ...] | None = None


@frozen
class ArgsMeta:
    """How the arguments of an event relate to those of the call."""

    bytes: int
    truncated: bool


@frozen
class HitlState:
    """Where the question to a person stands: `none`, `pending`, `approved` or `denied`."""

    hitl_action_id: str | None = None
    fingerprint: str | None = None
    status: str | None = None


@frozen(kw_only=True)
class ToolDecisionData:
    """The decision on one tool call, with the call."""

    verdict: Verdict
    control: RunControl
    cause: DecisionCause
    message: str
    evaluated_rules: tuple[RuleEval, ...]
    final_rule_id: str | None = None
    tool: ToolIdentity
    subjects: tuple[SubjectRef, ...] | None = None
    args: RawJson | None = None
    args_meta: ArgsMeta | None = None
    hitl: HitlState | None = None
    latency_ms: float | None = None
    shadow: tuple[ShadowEffect, ...] | None = None
    decided_by: str | None = None
    policy_versions: tuple[PolicyVersion, ...] | None = None


@frozen(kw_only=True)
class ToolDecisionEvent(AuditEvent):
    """A tool call was decided."""

    kind: ClassVar[str] = "tool.decision"
    data: ToolDecisionData


@frozen
class ErrorIdentity:
    """An exception: its class, its words, its stack."""

    name: str | None = None
    message: str | None = None
    stack: str | None = None


@frozen
class EventMetrics:
    """The metrics of one tool call, built-in and custom apart."""

    inbuilt: Mapping[str, MetricInfo] | None = None
    custom: Mapping[str, MetricInfo] | None = None


@frozen(kw_only=True)
class ToolResultData:
    """How one tool call ended; *outcome* is `success` or `error`."""

    tool: ToolIdentity
    outcome: str
    duration_ms: float | None = None
    error: ErrorIdentity | None = None
    metrics: EventMetrics | None = None
    counters: Mapping[str, float] | None = None
    result_meta: Mapping[str, Any] | None = None


@frozen(kw_only=True)
class ToolResultEvent(AuditEvent):
    """A tool call has ended."""

    kind: ClassVar[str] = "tool.result"
    data: ToolResultData


@frozen
class TokenCounts:
    """Tokens read and written by the model; `in` and `out` on the wire."""

    in_: int
    out: int


@frozen
class LlmDebug:
    """How the input tokens divide over the roles."""

    in_token_attribution: Mapping[str, int] | None = None


@frozen(kw_only=True)
class LlmResultData:
    """What one model call used."""

    model: ModelInfo
    tokens: TokenCounts
    message_count: int
    duration_ms: float | None = None
    debug: LlmDebug | None = None


@frozen(kw_only=True)
class LlmResultEvent(AuditEvent):
    """The model has answered and said what it used."""

    kind: ClassVar[str] = "llm.result"
    data: LlmResultData


@frozen(kw_only=True)
class RunEndedData:
    """How a run ended; *status* is `success`, `error`, `interrupted` or `timeout`."""

    status: str
    total_steps: int
    summary: str | None = None


@frozen(kw_only=True)
class RunEndedEvent(AuditEvent):
    """A run has ended."""

    kind: ClassVar[str] = "run.ended"
    data: RunEndedData


@frozen(kw_only=True)
class ErrorData:
    """A failure of ours or of the agent; *scope* is `governance`, `adapter`, `transport` or `agent`."""

    scope: str
    message: str
    details: Mapping[str, str] | None = None
    fatal: bool | None = None


@frozen(kw_only=True)
class ErrorEvent(AuditEvent):
    """Something failed, and the agent went on."""

    kind: ClassVar[str] = "error"
    data: ErrorData


EVENT_CLASSES: tuple[type[AuditEvent], ...] = (
    RunStartedEvent,
    MessageRawCreatedEvent,
    ToolDecisionEvent,
    ToolResultEvent,
    LlmResultEvent,
    RunEndedEvent,
    ErrorEvent,
)
"""Every kind of event there is."""
