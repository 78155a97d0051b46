"""What a run tells the audit trail: one method for each thing that can happen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from handlebar._plumbing import safe_json
from handlebar._plumbing.identifiers import uuid7
from handlebar.core import messages
from handlebar.core.audit_trail import RunEnvelope
from handlebar.core.measuring import Measured
from handlebar.core.messages import LLMResponse, TokenUsage
from handlebar.core.questions import Findings, ToolUse
from handlebar.core.schema.agents import Actor, ModelInfo
from handlebar.core.schema.events import (
    AdapterIdentity,
    AgentIdentity,
    ArgsMeta,
    ErrorData,
    ErrorEvent,
    ErrorIdentity,
    EventMetrics,
    HitlState,
    LlmResultData,
    LlmResultEvent,
    MessageRawCreatedData,
    MessageRawCreatedEvent,
    RawJson,
    Redaction,
    RequestIdentity,
    RunEndedData,
    RunEndedEvent,
    RunStartedData,
    RunStartedEvent,
    TokenCounts,
    ToolDecisionData,
    ToolDecisionEvent,
    ToolIdentity,
    ToolResultData,
    ToolResultEvent,
)
from handlebar.core.schema.governance import Decision, HitlPendingCause
from handlebar.core.schema.metrics import INBUILT_KEYS, MetricInfo

MAX_ARGS_BYTES = 64 * 1024
"""Longer arguments are left out of the event, which then gives their size only."""

MAX_ERROR_MESSAGE = 2000


@frozen
class RunRecorder:
    """Builds the events of one run; data is built only where the envelope wants it."""

    envelope: RunEnvelope

    def started(
        self,
        *,
        agent: AgentIdentity,
        actor: Actor | None,
        model: ModelInfo | None,
        request: RequestIdentity | None = None,
    ) -> None:
        """The run has started, within *request* if there is one."""

        def data() -> RunStartedData:
            adapter = AdapterIdentity("core")
            return RunStartedData(agent=agent, adapter=adapter, actor=actor, model=model, request=request)

        self.envelope.emit(RunStartedEvent, data, step_index=0)

    def message(self, role: str, text: str, *, level: str, step_index: int) -> None:
        """A message went to the model, or came from it; *level* tells how much of it was rewritten."""

        def data() -> MessageRawCreatedData:
            content, truncated = messages.bounded(text)
            return MessageRawCreatedData(
                message_id=uuid7(),
                role=role,
                kind=messages.event_kind(role),
                content=content,
                content_truncated=truncated,
            )

        redaction = None if level == "none" else Redaction(level)
        self.envelope.emit(MessageRawCreatedEvent, data, step_index=step_index, redaction=redaction)

    def handed_over(self, packet_id: str, target_agent: str, *, step_index: int) -> None:
        """The work went on to another agent."""
        self._handoff({"packetId": packet_id, "targetAgent": target_agent}, step_index)

    def taken_over(self, packet_id: str, *, step_index: int) -> None:
        """The run goes on with another agent's work."""
        self._handoff({"packetId": packet_id, "takenOver": True}, step_index)

    def _handoff(self, handoff: Mapping[str, Any], step_index: int) -> None:
        """Note what the wire has no kind of its own for."""

        def data() -> MessageRawCreatedData:
            return MessageRawCreatedData(
                message_id=uuid7(),
                role="system",
                kind="internal_summary",
                content=safe_json.encode({"handoff": handoff}),
                content_truncated=False,
                tags=("handoff",),
            )

        self.envelope.emit(MessageRawCreatedEvent, data, step_index=step_index)

    def model_answered(self, response: LLMResponse, usage: TokenUsage, *, step_index: int) -> None:
        """The model said what it used."""

        def data() -> LlmResultData:
            return LlmResultData(
                model=response.model,
                tokens=TokenCounts(usage.input_tokens or 0, usage.output_tokens or 0),
                message_count=len(response.content),
                duration_ms=response.duration_ms,
            )

        self.envelope.emit(LlmResultEvent, data, step_index=step_index)

    def decided(
        self, decision: Decision, use: ToolUse, found: Findings | None, *, step_index: int, latency_ms: float
    ) -> None:
        """A tool call was decided; *found* is what was measured of it, where anybody was asked."""

        def data() -> ToolDecisionData:
            args = found.args if found else Measured.of(use.args)
            return ToolDecisionData(
                verdict=decision.verdict,
                control=decision.control,
                cause=decision.cause,
                message=decision.message,
                evaluated_rules=decision.evaluated_rules,
                final_rule_id=decision.final_rule_id,
                tool=ToolIdentity(use.name, use.tags or None),
                subjects=(found.subjects or None) if found else None,
                args=RawJson(args.text) if args.size <= MAX_ARGS_BYTES else None,
                args_meta=ArgsMeta(args.size, args.size > MAX_ARGS_BYTES),
                hitl=_hitl(decision),
                latency_ms=latency_ms,
                shadow=decision.shadow or None,
                decided_by=decision.decided_by,
                policy_versions=decision.policy_versions or None,
            )

        self.envelope.emit(ToolDecisionEvent, data, step_index=step_index)

    def tool_ended(self, use: ToolUse, metrics: Mapping[str, float], *, step_index: int) -> None:
        """A tool call has ended."""

        def data() -> ToolResultData:
            return ToolResultData(
                tool=ToolIdentity(use.name, use.tags or None),
                outcome="success" if use.error is None else "error",
                duration_ms=use.duration_ms,
                error=_error_identity(use.error),
                metrics=_event_metrics(metrics),
            )

        self.envelope.emit(ToolResultEvent, data, step_index=step_index)

    def ended(self, status: str, *, total_steps: int) -> None:
        """The run has ended."""
        self.envelope.emit(
            RunEndedEvent,
            lambda: RunEndedData(status=status, total_steps=total_steps),
            step_index=total_steps,
        )

    def came_too_late(self) -> None:
        """Something would be recorded now, but the run has ended."""
        self.envelope.turn_away("ended")

    def hook_failed(self, key: str, reason: str) -> None:
        """A metric hook or an extractor of the user's failed, and the agent went on."""
        self._failed(f"A hook failed: {key}", reason)

    def redactor_failed(self, reason: str) -> None:
        """A redactor of the user's failed, and its content was withheld."""
        self._failed("A redactor failed; content is withheld", reason)

    def _failed(self, message: str, reason: str) -> None:
        self.envelope.emit(
            ErrorEvent,
            lambda: ErrorData(scope="governance", message=message, details={"reason": reason}),
            step_index=None,
        )


def _hitl(decision: Decision) -> HitlState | None:
    if isinstance(decision.cause, HitlPendingCause):
        return HitlState(hitl_action_id=decision.cause.approval_id, status="pending")
    return None


def _error_identity(error: Any) -> ErrorIdentity | None:
    if error is None:
        return None
    if isinstance(error, BaseException):
        return ErrorIdentity(type(error).__name__, _words(error))
    words = error if type(error) is str else safe_json.encode(error)
    return ErrorIdentity(message=words[:MAX_ERROR_MESSAGE])


def _words(error: BaseException) -> str:
    try:
        return str(error)[:MAX_ERROR_MESSAGE]
    except Exception:  # an exception whose __str__ raises
        return "(no message)"


def _event_metrics(metrics: Mapping[str, float]) -> EventMetrics | None:
    inbuilt = {key: MetricInfo(value) for key, value in metrics.items() if key in INBUILT_KEYS}
    custom = {key: MetricInfo(value) for key, value in metrics.items() if key not in INBUILT_KEYS}
    return EventMetrics(inbuilt or None, custom or None) if metrics else None
