"""The gate that a framework's tool calls go through: it answers, whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any, TypeVar

from attrs import field, frozen

from handlebar._plumbing import logs
from handlebar._plumbing.awaiting import to_thread
from handlebar._plumbing.interrupts import is_interrupt
from handlebar.core.guarding import refusal_text
from handlebar.core.run import Run
from handlebar.core.schema.governance import FAILCLOSED_DECISION, FAILOPEN_DECISION, Decision, HitlPendingCause

T = TypeVar("T")

_NO_NAME = "(no name)"


def _tags(tags: Any) -> tuple[str, ...] | None:
    """Return the words among *tags*, which come from wherever a framework keeps them."""
    if tags is None:
        return None
    return tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, (list, tuple, set, frozenset)) else ()


def _name(name: Any) -> str:
    return name if isinstance(name, str) and name else _NO_NAME


@frozen(kw_only=True)
class ToolCall:
    """
    A call that the model wants.

    Attributes:
        name: The tool's name, as the model gave it.

        args: The arguments: anything at all.

        call_id: The framework's id of this call, by which its end is told; None where the framework has none.

        tags: The tool's tags; those registered for the name where it is None.
    """

    name: str = field(converter=_name)
    args: Any
    call_id: str | None = None
    tags: tuple[str, ...] | None = field(default=None, converter=_tags)

    @property
    def key(self) -> object:
        """What the call is known by while it is under way."""
        return id(self) if self.call_id is None else self.call_id


@frozen
class Refusal:
    """
    Why a call may not run, or its result not be used.

    Attributes:
        text: What the model may read.

        is_of_result: Whether the call has been made.
    """

    decision: Decision
    text: str
    is_of_result: bool = False

    @property
    def is_pending(self) -> bool:
        """Whether a person has been asked, and has not answered yet; then the call may be made again later."""
        return not self.is_of_result and isinstance(self.decision.cause, HitlPendingCause)


@frozen
class Outcome:
    """How a call ended: what it returned, or what went wrong."""

    result: Any = None
    error: BaseException | str | None = None


@frozen
class _UnderWay:
    call: ToolCall
    began: float


@frozen
class _Foretold:
    call: ToolCall
    refusal: Refusal | None


class Gate:
    """
    Asks before each tool call of a run, and records how it ended. Thread-safe.

    Nothing raises, but what others throw into our code on purpose (Ctrl-C, Celery's soft time limit): frameworks
    answer a raising hook by running the tool, or by losing the model's turn. A failure of ours is the answer that
    `fail_closed` names.

    Args:
        run: The run.

        fail_closed: Whether a call is blocked where this gate itself fails.

        wait_for_approval: Seconds to wait where a person has to approve a call; None for not at all.
    """

    def __init__(self, run: Run, *, fail_closed: bool, wait_for_approval: float | None = None) -> None:
        self._run = run
        self._unavailable = FAILCLOSED_DECISION if fail_closed else FAILOPEN_DECISION
        self._wait = wait_for_approval
        self._lock = threading.Lock()
        self._under_way: dict[object, _UnderWay] = {}
        self._foretold: dict[object, _Foretold] = {}
        self._broken: Decision | None = None

    @property
    def should_stop(self) -> bool:
        """Whether the framework's loop has to end: a decision said TERMINATE."""
        return self._run.should_terminate or self._broken is not None

    @property
    def stop(self) -> Decision:
        """The decision that says TERMINATE, while `should_stop`."""
        said = [decision for decision in self._run.decisions if decision.terminates]
        return self._broken or (said[-1] if said else self._unavailable)

    def before(self, call: ToolCall) -> Refusal | None:
        """
        Decide; None means that the call may run: tell its end by `after`, or `suspended`.

        A call that is made again after a person was asked finds the person's answer.
        """
        known = self._known(call)
        refusal = self._refused(call) if known is None else known.refusal
        if refusal is None:
            with self._lock:
                self._under_way[call.key] = _UnderWay(call, perf_counter())
        return refusal

    def ahead(self, call: ToolCall) -> Refusal | None:
        """
        Decide, where the framework asks before the time of the call; `before` gives the same answer then, once.

        Where a person has to be asked, `before` looks for the answer itself.
        """
        refusal = self._refused(call)
        if refusal is None or not refusal.is_pending:
            self._foretell(call, refusal)
        return refusal

    def after(self, key: object, outcome: Outcome) -> Refusal | None:
        """Record how the call of that *key* ended, and decide on it; None means that the result may be used."""
        ended = self._ended(key)
        # A framework that calls after-hooks for refused calls too has nothing to tell.
        if ended is None:
            return None
        decision = self._decided(lambda: self._tell(ended, outcome))
        return Refusal(decision, refusal_text(decision), is_of_result=True) if _forbids(decision) else None

    def suspended(self, key: object) -> None:
        """Remember that the call of that *key* was interrupted in its middle: the same call goes on unasked, once."""
        ended = self._ended(key)
        if ended is not None:
            self._foretell(ended.call, None)

    def _foretell(self, call: ToolCall, refusal: Refusal | None) -> None:
        if call.call_id is not None:
            with self._lock:
                self._foretold[call.key] = _Foretold(call, refusal)

    def _known(self, call: ToolCall) -> _Foretold | None:
        """Return the answer that was given to *call* before, unless the run has been stopped for good since."""
        with self._lock:
            known = self._foretold.get(call.key)
            if known is None or known.call != call:
                return None
            del self._foretold[call.key]
        return None if self.should_stop and not _refusal(self.stop).is_pending else known

    def _ended(self, key: object) -> _UnderWay | None:
        with self._lock:
            return self._under_way.pop(key, None)

    def _refused(self, call: ToolCall) -> Refusal | None:
        decision = self._decided(lambda: self._ask(call))
        return _refusal(decision) if _forbids(decision) else None

    def _ask(self, call: ToolCall) -> Decision:
        # Not to wait is to look once: the call may be one that is made again, and the person have answered.
        return self._run.before_tool_sync(call.name, call.args, call.tags, wait_for_approval=self._wait or 0)

    def _tell(self, ended: _UnderWay, outcome: Outcome) -> Decision:
        call = ended.call
        taken = (perf_counter() - ended.began) * 1000
        return self._run.after_tool_sync(
            call.name, call.args, outcome.result, duration_ms=taken, error=outcome.error, tool_tags=call.tags
        )

    def _decided(self, ask: Callable[[], Decision]) -> Decision:
        # A run that has to stop, because we could not ask, does not start again when we can.
        if self._broken is not None:
            return self._broken
        try:
            return ask()
        except Exception as error:
            if is_interrupt(error):
                raise
            logs.warn_once_a_minute("gate", "A tool call could not be asked about: %s", type(error).__name__)
            if self._unavailable.terminates:
                self._broken = self._unavailable
            return self._unavailable


def returned(result: Any) -> Outcome:
    """Return the outcome of a call that gave *result*."""
    return Outcome(result)


def governed(
    gate: Gate,
    call: ToolCall,
    body: Callable[[], T],
    *,
    outcome_of: Callable[[T], Outcome] = returned,
    suspends: tuple[type[BaseException], ...] = (),
) -> T | Refusal:
    """
    Make *call* by *body* if it is allowed; return its result, or why not.

    Args:
        gate: The run's gate.

        call: The call; every attempt asks anew.

        body: Makes the call; what it raises goes on to the caller.

        outcome_of: Tells what a result means, where the framework wraps results and errors alike.

        suspends: What *body* raises where the framework only interrupts the call, to make it again later.
    """
    refusal = gate.before(call)
    if refusal is not None:
        return refusal
    try:
        result = body()
    except BaseException as error:
        _left(gate, call, error, suspends)
        raise
    return gate.after(call.key, outcome_of(result)) or result


async def governed_async(
    gate: Gate,
    call: ToolCall,
    body: Callable[[], Awaitable[T]],
    *,
    outcome_of: Callable[[T], Outcome] = returned,
    suspends: tuple[type[BaseException], ...] = (),
) -> T | Refusal:
    """Like `governed`, for a *body* to await; the loop is free while a decision is waited for."""
    refusal = await to_thread(gate.before, call)
    if refusal is not None:
        return refusal
    try:
        result = await body()
    except BaseException as error:
        await to_thread(_left, gate, call, error, suspends)
        raise
    return await to_thread(gate.after, call.key, outcome_of(result)) or result


def _left(gate: Gate, call: ToolCall, error: BaseException, suspends: tuple[type[BaseException], ...]) -> None:
    if isinstance(error, suspends):
        gate.suspended(call.key)
    else:
        gate.after(call.key, Outcome(error=error))


def _forbids(decision: Decision) -> bool:
    return decision.terminates or not decision.allowed


def _refusal(decision: Decision) -> Refusal:
    return Refusal(decision, refusal_text(decision))
