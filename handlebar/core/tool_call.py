"""One governed tool call: decide, call, record."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any, Protocol

from attrs import frozen

from handlebar.core.schema.governance import Decision, HitlPendingCause
from handlebar.errors import ApprovalPendingError, RunTerminatedError


class ToolHooks(Protocol):
    """The hooks that govern a call; a run has them."""

    @property
    def resume_token(self) -> str:
        """What the run is found again by."""
        ...

    def before_tool_sync(
        self,
        tool_name: str,
        args: Any,
        tool_tags: tuple[str, ...] | None = None,
        *,
        wait_for_approval: float | None = None,
    ) -> Decision:
        """Decide."""
        ...

    def after_tool_sync(
        self,
        tool_name: str,
        args: Any,
        result: Any,
        duration_ms: float | None = None,
        error: Any = None,
        tool_tags: tuple[str, ...] | None = None,
    ) -> Decision:
        """Record, and decide on the result."""
        ...


@frozen(kw_only=True)
class CallPlan:
    """
    A tool call that is about to be made.

    Attributes:
        args: The arguments by parameter name.

        body: Makes the call.

        refuse: Raises, or returns what the caller gets, where policy blocks the call or its result.

        raise_if_pending: Whether a call that a person has to approve raises ApprovalPendingError.

        wait_for_approval: Seconds to wait for the person's answer first.
    """

    tool_name: str
    tool_tags: tuple[str, ...] | None
    args: Any
    body: Callable[[], Any]
    refuse: Callable[[Decision], Any]
    raise_if_pending: bool = False
    wait_for_approval: float | None = None


def call(hooks: ToolHooks, plan: CallPlan) -> Any:
    """
    Make the call if it is allowed, and return its result, or the plan's refusal.

    Raises:
        RunTerminatedError: Policy stopped the run, before the call or on its result.

        ApprovalPendingError: A person has to approve the call, and the plan says to raise then.
    """
    decision = _decide(hooks, plan)
    if _forbids(decision):
        return plan.refuse(decision)
    started = perf_counter()
    try:
        result = plan.body()
    except BaseException as error:
        _record(hooks, plan, started, None, error)
        raise
    decision = _record(hooks, plan, started, result, None)
    return plan.refuse(decision) if _forbids(decision) else result


async def call_async(hooks: ToolHooks, plan: CallPlan) -> Any:
    """Like `call`, for a *body* that returns an awaitable; the loop is free while a decision is waited for."""
    from asyncio import to_thread  # 30 ms to import, and only async callers get here

    decision = await to_thread(_decide, hooks, plan)
    if _forbids(decision):
        return plan.refuse(decision)
    started = perf_counter()
    try:
        result = await plan.body()
    except BaseException as error:
        await to_thread(_record, hooks, plan, started, None, error)
        raise
    decision = await to_thread(_record, hooks, plan, started, result, None)
    return plan.refuse(decision) if _forbids(decision) else result


def _decide(hooks: ToolHooks, plan: CallPlan) -> Decision:
    decision = hooks.before_tool_sync(
        plan.tool_name, plan.args, plan.tool_tags, wait_for_approval=plan.wait_for_approval
    )
    if plan.raise_if_pending and isinstance(decision.cause, HitlPendingCause):
        raise ApprovalPendingError(decision, decision.cause.approval_id, hooks.resume_token)
    return decision


def _record(hooks: ToolHooks, plan: CallPlan, started: float, result: Any, error: BaseException | None) -> Decision:
    return hooks.after_tool_sync(
        plan.tool_name,
        plan.args,
        result,
        duration_ms=(perf_counter() - started) * 1000,
        error=error,
        tool_tags=plan.tool_tags,
    )


def _forbids(decision: Decision) -> bool:
    """Whether the call, or its result, is withheld; a run that has to stop raises."""
    if decision.terminates:
        raise RunTerminatedError(decision)
    return not decision.allowed
