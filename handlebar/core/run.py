"""One governed invocation of an agent."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any

from attrs import field, frozen

from handlebar._plumbing import logs
from handlebar._plumbing.awaiting import awaitable, warn_of_stall
from handlebar._plumbing.once import Once
from handlebar.core.config import RunConfig
from handlebar.core.deciding import NOT_GOVERNED, RUN_ENDED
from handlebar.core.guarding import as_guarded
from handlebar.core.handing_over import packet_builder
from handlebar.core.messages import LLMMessage, LLMResponse
from handlebar.core.plane import RunEndStatus
from handlebar.core.questions import ToolUse
from handlebar.core.resuming import token_for
from handlebar.core.run_decisions import RunDecisions
from handlebar.core.run_parts import RunParts
from handlebar.core.schema.agents import Actor, ModelInfo
from handlebar.core.schema.events import AgentIdentity, RequestIdentity
from handlebar.core.schema.governance import Decision, HitlPendingCause
from handlebar.core.time_to_live import TimeToLive
from handlebar.errors import ConfigError

_STATUSES = ("success", "error", "interrupted", "timeout")


@frozen
class ToolResult:
    """One finished tool call, as `run.get_history()` tells it; values are kept by reference."""

    tool_name: str
    args: Any = field(repr=False)
    result: Any = field(repr=False)
    error: Any = field(default=None, repr=False)
    duration_ms: float | None = None


class Run:
    """
    One governed invocation of an agent; made by `client.run(...)` or `client.start_run_sync(...)`.

    Lives until `end`, or until its time to live has passed. Thread-safe. No hook raises because of the control
    plane, a sink, a metric hook, a redactor or an extractor.
    """

    def __init__(self, config: RunConfig, parts: RunParts) -> None:
        self._config = config
        self._parts = parts
        self._process = os.getpid()
        self._history: list[ToolResult] = []
        self._decisions = RunDecisions(parts)
        self._end: Once[RunEndStatus] = Once()
        self._time_to_live = TimeToLive(config.run_ttl_ms, self._expire)

    def __repr__(self) -> str:
        return f"<Run {self.run_id!r} {self.status}>"

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self._config.run_id

    @property
    def session_id(self) -> str | None:
        """The conversation that the run belongs to."""
        return self._config.session_id

    @property
    def agent(self) -> str:
        """The slug of the agent that runs."""
        return self._parts.agent

    @property
    def actor(self) -> Actor | None:
        """Whom the run acts for."""
        return self._config.actor

    @property
    def model(self) -> ModelInfo | None:
        """The language model that the run uses."""
        return self._config.model

    @property
    def tags(self) -> Mapping[str, str]:
        """The run's tags."""
        return self._config.tags

    @property
    def context(self) -> Mapping[str, Any]:
        """What the caller put beside the run; it never leaves the process."""
        return self._config.context

    @property
    def is_ended(self) -> bool:
        """Whether the run has ended."""
        return self._end.value is not None

    @property
    def status(self) -> str:
        """`active`, or how the run ended: `success`, `error`, `interrupted`, `timeout`."""
        return self._end.value or "active"

    @property
    def current_step_index(self) -> int:
        """How many tool calls have been finished."""
        return len(self._history)

    @property
    def decisions(self) -> list[Decision]:
        """Every decision so far, whatever its outcome; in shadow mode the real ones, not what was handed out."""
        return list(self._decisions.made)

    @property
    def should_terminate(self) -> bool:
        """Whether an enforced decision has said TERMINATE."""
        return self._decisions.is_stopped

    def get_history(self) -> list[ToolResult]:
        """Return the finished tool calls, oldest first."""
        return list(self._history)

    def before_llm_sync(
        self, messages: Sequence[LLMMessage], meta: Mapping[str, Any] | None = None
    ) -> Sequence[LLMMessage]:
        """
        Record what goes to the model, and return it as the redactors have left it.

        Args:
            messages: The new messages of this call, in order.

            meta: Taken for compatibility; nothing is done with it.

        Raises:
            ConfigError: *messages* is no list of LLMMessage objects, or of dicts with role and content.
        """
        if isinstance(messages, (str, Mapping)) or not isinstance(messages, Sequence):
            raise ConfigError("messages", f"(a {type(messages).__name__})", "a list of LLMMessage objects")
        if self._is_too_late():
            return messages
        return self._parts.traffic.to_model(messages, step_index=self.current_step_index)

    def after_llm_sync(self, response: LLMResponse) -> LLMResponse:
        """
        Record what came from the model, and return it as the redactors have left it, with `output_text` filled in.

        Token counts, where *response* has any, go to the control plane with the next tool call.

        Raises:
            ConfigError: *response* is no LLMResponse.
        """
        if not isinstance(response, LLMResponse):
            raise ConfigError("response", f"(a {type(response).__name__})", "an LLMResponse")
        if self._is_too_late():
            return response
        if response.usage is not None:
            self._decisions.tokens.add(response.usage)
        return self._parts.traffic.from_model(response, step_index=self.current_step_index)

    @property
    def resume_token(self) -> str:
        """What `client.resume_run(token)` takes to go on with this run in any process; it is no secret key."""
        return token_for(self._config)

    def before_tool_sync(
        self,
        tool_name: str,
        args: Any,
        tool_tags: Sequence[str] | None = None,
        *,
        wait_for_approval: float | None = None,
        explain: bool = False,
    ) -> Decision:
        """
        Decide whether a tool call may run. Call it before the tool, and obey the answer.

        Args:
            tool_name: The tool.

            args: Its arguments; anything at all, encoded totally.

            tool_tags: The tool's tags; those registered for the name where it is None.

            wait_for_approval: Seconds to wait for a person's answer, where the decision is that one is needed.

            explain: Whether the decision is to carry, in `trace`, what each rule said of the call, and why.

        Raises:
            ConfigError: *tool_name* or *tool_tags* are not what they should be.
        """
        use = self._use(tool_name, tool_tags, args=args, explain=explain)
        if self._is_too_late():
            return self._after_end()
        decision = self._decisions.decide("tool.before", use, self)
        if wait_for_approval is None or not isinstance(decision.cause, HitlPendingCause):
            return decision
        return self._decisions.once_answered(decision, self, use=use, timeout=wait_for_approval, is_over=self._is_over)

    def await_approval(self, decision: Decision, timeout: float | None = None) -> Decision:
        """
        Wait until a person has answered the question of *decision*, and return the decision that follows.

        A yes is used up by this decision: make the call. Where nobody answers in time, or the client is shut
        down, *decision* itself comes back.

        Args:
            decision: What `before_tool` has answered, with a cause of kind HITL_PENDING.

            timeout: Seconds to wait; None for as long as the run lasts.

        Raises:
            ConfigError: *decision* is not one of this run's that waits for a person.
        """
        return self._decisions.once_answered(decision, self, timeout=timeout, is_over=self._is_over)

    def after_tool_sync(
        self,
        tool_name: str,
        args: Any,
        result: Any,
        duration_ms: float | None = None,
        error: Any = None,
        tool_tags: Sequence[str] | None = None,
    ) -> Decision:
        """
        Record how a tool call ended, and decide whether the run may go on with its result.

        Args:
            tool_name: The tool.

            args: Its arguments.

            result: What it returned.

            duration_ms: How long it took, in milliseconds.

            error: What it raised, or any value that says that it failed.

            tool_tags: The tool's tags; those registered for the name where it is None.

        Raises:
            ConfigError: *tool_name* or *tool_tags* are not what they should be.
        """
        use = self._use(tool_name, tool_tags, args=args, result=result, error=error, duration_ms=duration_ms)
        if self._is_too_late():
            return self._after_end()
        decision = self._decisions.decide("tool.after", use, self)
        self._history.append(ToolResult(use.name, args, result, error, duration_ms))
        return decision

    def call_tool(self, tool: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """
        Call *tool* governed by this run, whichever run is current.

        Works on any function, guarded or not; a coroutine function gives a coroutine to await.

        Raises:
            ToolBlockedError: Policy blocked the call, or withholds its result.

            RunTerminatedError: Policy stopped the run.

            ConfigError: *tool* cannot be guarded.
        """
        return as_guarded(tool).call(self, args, kwargs)

    def record_handoff(self, packet_id: str, *, target_agent: str) -> None:
        """
        Record that the run has handed its work over; the hand-off client does this by itself.

        Args:
            packet_id: The hand-off packet.

            target_agent: The id of who takes over.
        """
        if not self._is_too_late():
            self._parts.recorder.handed_over(packet_id, target_agent, step_index=self.current_step_index)

    def record_takeover(self, packet_id: str) -> None:
        """Record that the run goes on with what another has handed over; `client.run(resume=packet)` does it."""
        if not self._is_too_late():
            self._parts.recorder.taken_over(packet_id, step_index=self.current_step_index)

    def to_packet(self, *, summary: str | None = None) -> Any:
        """
        Return a `PacketBuilder` of hand-offs that holds the conversation, the decisions and what waits for a person.

        Say to whom by its `to_agent`, and give what it builds to `HandoffRailClient.create_packet`. The latest 200
        messages and decisions go along, as the redactors have left them; instructions to the model stay behind.

        Args:
            summary: What this is about; `with_summary` says it later.
        """
        builder = packet_builder(self._parts.minutes, run_id=self.run_id, session_id=self.session_id, agent=self.agent)
        return builder if summary is None else builder.with_summary(summary)

    def end_sync(self, status: RunEndStatus = "success") -> None:
        """
        End the run: tell the control plane, and drain the sinks, five seconds at most.

        Idempotent: the first status stays. In a child of a fork it ends the child's view of the run only.

        Args:
            status: `success`, `error`, `interrupted` or `timeout`.

        Raises:
            ConfigError: *status* is none of these.
        """
        if status not in _STATUSES:
            raise ConfigError("status", status, f"one of {', '.join(map(repr, _STATUSES))}")
        if not self._end.claim(status):
            return
        self._decisions.close(self._after_end())
        self._time_to_live.cancel()
        if os.getpid() != self._process:
            return
        began = perf_counter()
        self._parts.recorder.ended(status, total_steps=self.current_step_index)
        self._parts.on_end(self, status)
        warn_of_stall("end", began)

    def park_sync(self) -> None:
        """
        Leave the run as it is, for `client.resume_run`: it does not end, and takes no memory here.

        Drains the sinks, five seconds at most.
        """
        self._time_to_live.cancel()
        if os.getpid() == self._process:
            self._parts.on_park(self, self._config)

    park = awaitable(park_sync)
    before_llm = awaitable(before_llm_sync)
    after_llm = awaitable(after_llm_sync)
    before_tool = awaitable(before_tool_sync)
    after_tool = awaitable(after_tool_sync)
    end = awaitable(end_sync)

    def begin(self, agent: AgentIdentity, request: RequestIdentity | None = None) -> None:
        """Record that the run has started; the client calls this once."""
        self._parts.recorder.started(agent=agent, actor=self.actor, model=self.model, request=request)

    def _is_over(self) -> bool:
        """Whether the run has ended, by its time to live too."""
        if self._time_to_live.is_over:
            self._expire()
        return self.is_ended

    def _is_too_late(self) -> bool:
        """Whether the run has ended; then what is not recorded is counted."""
        is_over = self._is_over()
        if is_over:
            self._parts.recorder.came_too_late()
        return is_over

    def _expire(self) -> None:
        """End the run because its time is over; tell of it, unless somebody was quicker."""
        if not self.is_ended:
            logs.warn_once_a_minute(
                "run_ttl",
                "The run %r took longer than its run_ttl_ms, and was ended; "
                "if it had done its work, nobody has ended it: use `with client.run(...)` or end_sync()",
                self.run_id,
            )
            self.end_sync("timeout")

    def _after_end(self) -> Decision:
        return RUN_ENDED if self._parts.enforced else NOT_GOVERNED

    def _use(self, name: Any, tags: Any, **call: Any) -> ToolUse:
        if not isinstance(name, str) or not name:
            raise ConfigError("tool_name", name, "a str that is not empty")
        if tags is None:
            return ToolUse(name=name, tags=self._parts.registered_tags(name), **call)
        if isinstance(tags, str) or not all(isinstance(tag, str) for tag in tags):
            raise ConfigError("tool_tags", tags, "a list of str")
        return ToolUse(name=name, tags=tuple(tags), **call)
