"""One invocation of a framework's agent, bracketed by a run: the caller's own, or one that is started for it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from attrs import evolve, field, frozen

from handlebar._plumbing import logs
from handlebar._plumbing.identifiers import uuid7
from handlebar._plumbing.interrupts import is_interrupt
from handlebar.core.client import HandlebarClient
from handlebar.core.config import RunConfig
from handlebar.core.current import get_current_run
from handlebar.core.front import get_client
from handlebar.core.messages import LLMMessage, LLMResponse
from handlebar.core.run import Run
from handlebar.core.scope import status_for
from handlebar.integrations.governing.deltas import Deltas, Keyed
from handlebar.integrations.governing.gate import Gate

T = TypeVar("T")

About = Callable[[], Mapping[str, Any]]

_MOST_KEPT = 10_000
"""Invocations whose end a framework never tells are forgotten, oldest first, beyond this number."""


@frozen(eq=False)
class Invocation:
    """
    A run as adapters use it; thread-safe.

    Attributes:
        run: The run.

        gate: Where its tool calls go through.

        deltas: Which messages it has seen.

        is_own: Whether the run was started for this invocation, and ends with it.
    """

    run: Run
    gate: Gate
    is_own: bool
    deltas: Deltas = field(factory=Deltas)
    _rewritten: dict[Hashable, LLMMessage] = field(factory=dict)

    @property
    def should_stop(self) -> bool:
        """Whether the framework's loop has to end."""
        return self.gate.should_stop

    def to_model(self, messages: Sequence[Keyed]) -> dict[int, LLMMessage]:
        """
        Record the new ones of *messages*, which are the whole conversation.

        Returns:
            What the redactors have changed, by place, now or before; where the framework lets you, send that instead.
        """
        return _swallowed(lambda: self._to_model(messages)) or {}

    def from_model(self, response: LLMResponse) -> LLMResponse:
        """Record what the model answered, and return it as the redactors have left it."""
        return _swallowed(lambda: self.run.after_llm_sync(response)) or response

    def finish(self, error: BaseException | None = None) -> None:
        """End the run, if it is this invocation's own; *error* is what ended the agent. May be called twice."""
        if self.is_own:
            status = "interrupted" if self.should_stop else status_for(error)
            _swallowed(lambda: self.run.end_sync(status))

    def _to_model(self, messages: Sequence[Keyed]) -> dict[int, LLMMessage]:
        places = self.deltas.unseen(messages)
        told = [messages[place].message for place in places]
        redacted = self.run.before_llm_sync(told) if told else ()
        for place, before, after in zip(places, told, redacted, strict=True):
            if after is not before:
                self._rewritten[messages[place].key] = after
        rewritten = self._rewritten
        return {place: rewritten[each.key] for place, each in enumerate(messages) if each.key in rewritten}


def _nothing() -> Mapping[str, Any]:
    return {}


class Invocations:
    """
    Opens invocations for one adapter, and finds them again by their run's id; thread-safe.

    Args:
        client: Whose runs are started; None for the process's default client at that time.

        wait_for_approval: Seconds that each call waits for a person; None for not at all.
    """

    def __init__(self, client: HandlebarClient | None = None, *, wait_for_approval: float | None = None) -> None:
        self._client = client
        self._wait = wait_for_approval
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Invocation] = OrderedDict()
        self._parked: OrderedDict[str, Invocation] = OrderedDict()

    def begin(self, about: About = _nothing) -> Invocation:
        """
        Return the invocation of the caller's current run; start a run of its own where there is none.

        Args:
            about: Gives fields of `RunConfig`, for a run that is started; what it raises goes on to the caller.

        Raises:
            NotInitialisedError: There is no client.

            ConfigError: One of the fields has a value that is not allowed.
        """
        current = get_current_run()
        if current is not None:
            # The run may be that of an invocation around this one, which is the one to end it.
            return evolve(self._known(current, is_own=False), is_own=False)
        config = RunConfig(**{"run_id": uuid7(), **about()})
        return self._known(self._the_client().start_run_sync(config), is_own=True)

    def find(self, run_id: str | None, about: About = _nothing) -> Invocation:
        """
        Return the invocation whose run has that id; where this process knows of none, go on with that run.

        Without an id this is `begin`: no call goes ungoverned because its run got lost.
        """
        if run_id is None:
            return self.begin(about)
        with self._lock:
            known = self._kept.get(run_id) or self._parked.get(run_id)
            if known is not None:
                self._kept[run_id] = known
                return known
        current = get_current_run()
        if current is not None and current.run_id == run_id:
            return self._known(current, is_own=False)
        return self._known(self._the_client().start_run_sync(RunConfig(**{**about(), "run_id": run_id})), is_own=True)

    def go_on(self, run_id: str | None, about: About = _nothing) -> Invocation:
        """Like `find`, for what was interrupted; the caller's current run, where there is one, is above that run."""
        return self.find(run_id if get_current_run() is None else None, about)

    def finish(self, invocation: Invocation, error: BaseException | None = None) -> None:
        """End *invocation*, and forget it."""
        with self._lock:
            if invocation.is_own:
                self._kept.pop(invocation.run.run_id, None)
                self._parked.pop(invocation.run.run_id, None)
        invocation.finish(error)

    def park(self, invocation: Invocation, call_ids: Iterable[str] = ()) -> None:
        """
        Leave the run of *invocation*, if it began it, for `find`; nobody holds it while a person is waited for.

        Args:
            invocation: What the framework has interrupted.

            call_ids: The calls that are waiting, for `parked`.
        """
        if not invocation.is_own:
            return
        run = invocation.run
        _swallowed(run.park_sync)
        with self._lock:
            self._kept.pop(run.run_id, None)
            self._parked.update(dict.fromkeys([run.run_id, *call_ids], invocation))
            while len(self._parked) > _MOST_KEPT:
                self._parked.popitem(last=False)

    def parked(self, call_ids: Iterable[str]) -> str | None:
        """Return the id of the run that was parked with one of *call_ids*; None where this process knows of none."""
        with self._lock:
            return next((self._parked[each].run.run_id for each in call_ids if each in self._parked), None)

    def is_open(self, approval_id: str) -> bool:
        """Whether nobody has answered that question to a person yet, as far as can be told."""
        return self._the_client().approval_status_sync(approval_id) in (None, "pending")

    def _the_client(self) -> HandlebarClient:
        return self._client or get_client()

    def _known(self, run: Run, *, is_own: bool) -> Invocation:
        config = self._the_client().config
        fail_closed = config.fail_closed and config.enforce_mode == "enforce"
        gate = Gate(run, fail_closed=fail_closed, wait_for_approval=self._wait)
        with self._lock:
            kept = self._kept.get(run.run_id)
            if kept is None or kept.run is not run:
                kept = self._kept[run.run_id] = Invocation(run, gate, is_own)
            self._forget_some()
        return kept

    def _forget_some(self) -> None:
        """Forget the oldest, as long as they have ended or are too many; the caller's runs end without our knowing."""
        while len(self._kept) > 1:
            oldest = next(iter(self._kept.values()))
            if not oldest.run.is_ended and len(self._kept) <= _MOST_KEPT:
                return
            self._kept.popitem(last=False)


def _swallowed(call: Callable[[], T]) -> T | None:
    """Make a call of ours that must not disturb the agent; None where it fails."""
    try:
        return call()
    except Exception as error:
        if is_interrupt(error):
            raise
        logs.warn_once_a_minute("adapter", "A model call could not be recorded: %s", type(error).__name__)
        return None
