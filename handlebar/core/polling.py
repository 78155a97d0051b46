"""Looking how the agent stands, again and again: one thread for each client and process, or none."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Protocol

from attrs import frozen

from handlebar._plumbing import logs
from handlebar._plumbing.clock import monotonic
from handlebar._plumbing.forking import PerProcess
from handlebar._plumbing.interrupts import is_interrupt
from handlebar._plumbing.once import Once
from handlebar._plumbing.retry import RetryPolicy
from handlebar._plumbing.time_limits import told
from handlebar.core.budgets import BudgetGrant
from handlebar.core.deciding import DecisionSource, MakeRequest, under_lockdown
from handlebar.core.plane import ControlPlane, LockdownNotice
from handlebar.core.registration import Registration
from handlebar.core.schema.governance import Decision
from handlebar.core.watching import Watch
from handlebar.errors import ControlPlaneError, RefusedError

SECONDS = 5.0
"""Between two looks, where nothing else is configured."""

_LONGEST_PAUSE = 60.0
_REFUSED_PAUSE = 300.0
_PATIENCE = 10.0
_SPREAD = 0.2


class Poller(Protocol):
    """Tells a client what happens to its agent while no run of it asks."""

    @property
    def lockdowns(self) -> Sequence[LockdownNotice]:
        """The lockdowns in force, as this process has last seen them."""
        ...

    @property
    def budgets(self) -> list[BudgetGrant]:
        """What is left of the agent's budgets, as far as this process knows."""
        ...

    def watched(self, source: DecisionSource, actor_id: str | None) -> DecisionSource:
        """Return who answers for a run: *source*, unless a lockdown is seen."""
        ...

    def close(self) -> None:
        """Look no more."""
        ...


class NoPolling:
    """Looks at nothing: every decision finds out for itself, or there is nobody to ask."""

    lockdowns: Sequence[LockdownNotice] = ()

    @property
    def budgets(self) -> list[BudgetGrant]:
        """Nobody has been asked for any."""
        return []

    def watched(self, source: DecisionSource, actor_id: str | None) -> DecisionSource:
        """Return *source*."""
        return source

    def close(self) -> None:
        """There is nothing to end."""


class Polling:
    """
    Looks from a thread of its own; lives as long as the client.

    Thread-safe and fork-safe: the thread `handlebar-polling` is started with the first run of each process, and
    a child of a fork starts its own, knowing nothing, with the first decision that it asks for.

    Args:
        seconds: Between two looks, more or less: many processes must not look at the same moment.
    """

    def __init__(self, plane: ControlPlane, registration: Registration, *, seconds: float) -> None:
        self._registration = registration
        self._process: PerProcess[_Looking] = PerProcess(lambda: _Looking(plane, registration, seconds))
        self._closed = False

    @property
    def lockdowns(self) -> Sequence[LockdownNotice]:
        """As `Poller` says."""
        return self._process.get().watch.lockdowns

    @property
    def budgets(self) -> list[BudgetGrant]:
        """As `Poller` says."""
        return self._process.get().watch.budgets

    def watched(self, source: DecisionSource, actor_id: str | None) -> DecisionSource:
        """As `Poller` says."""
        self.watch().run_started(actor_id)
        return UnlessLockedDown(self, self._registration, source, actor_id)

    def watch(self) -> Watch:
        """Return what this process sees, with somebody looking."""
        looking = self._process.get()
        if looking.begins() and not self._closed:
            # A client that nobody has shut down must not be looked for until the process ends.
            weakref.finalize(self, looking.stop).atexit = False
            looking.start()
        return looking.watch

    def close(self) -> None:
        """As `Poller` says; waits for nothing, not even for a look that is under way."""
        self._closed = True
        looking = self._process.peek()
        if looking is not None:
            looking.stop()


@frozen(eq=False)
class UnlessLockedDown:
    """Answers for a run as *usual* does, but for what a lockdown forbids that was seen meanwhile."""

    polling: Polling
    registration: Registration
    usual: DecisionSource
    actor_id: str | None

    def decide(self, make_request: MakeRequest) -> Decision:
        """Answer."""
        watch = self.polling.watch()
        if watch.is_quiet:
            return self.usual.decide(make_request)
        seen = watch.lockdown_of(self.actor_id, None)
        return self._decide_call(watch, make_request) if seen is None else under_lockdown(seen)

    def _decide_call(self, watch: Watch, make_request: MakeRequest) -> Decision:
        """Answer where it may depend on the tool."""
        agent_id = self.registration.ensure()
        if agent_id is None:
            return self.usual.decide(make_request)
        try:
            request = make_request(agent_id)
        except Exception as error:  # a fault of ours, which the usual source turns into its stock answer
            if is_interrupt(error):
                raise
            return self.usual.decide(make_request)
        seen = watch.lockdown_of(self.actor_id, request.tool_name)
        if seen is not None:
            return under_lockdown(seen)
        watch.count(request)
        return self.usual.decide(lambda _: request)


class _Chore:
    """Something that is done again and again, and less often while that fails."""

    def __init__(self, name: str, do: Callable[[], None], seconds: float) -> None:
        self._name = name
        self._do = do
        self._seconds = seconds
        self._backoff = RetryPolicy(retries=2**31, base=2 * seconds, cap=max(_LONGEST_PAUSE, seconds))
        self._failures = 0
        self.due = monotonic() + _jittered(seconds)

    def attempt(self) -> None:
        """Do it, and settle when it is done next."""
        self.due = monotonic() + _jittered(self._pause())

    def _pause(self) -> float:
        try:
            self._do()
        except ControlPlaneError as error:
            # A control plane that knows no polls is none that has failed.
            if getattr(error, "status", None) not in (404, 405):
                logs.warn_once_a_minute(f"poll:{self._name}", "Looking at the agent's %s failed: %s", self._name, error)
            return self._after(error)
        except Exception as error:  # a fault of ours must not end the looking
            logs.warn_once_a_minute(
                f"poll:{self._name}:bug", "Looking at the agent's %s failed: %s", self._name, told(error)
            )
            return self._after(error)
        self._failures = 0
        return self._seconds

    def _after(self, error: Exception) -> float:
        if isinstance(error, RefusedError) and error.status < 500 and error.status != 429:
            return _REFUSED_PAUSE  # asking again soon would help nobody
        self._failures += 1
        return self._backoff.delay(self._failures - 1, getattr(error, "retry_after", None))


class _Looking:
    """The thread of one process, and what it sees."""

    def __init__(self, plane: ControlPlane, registration: Registration, seconds: float) -> None:
        self.watch = Watch(plane, budget=_PATIENCE)
        self._registration = registration
        self._seconds = seconds
        self._pid = os.getpid()
        self._begun: Once[bool] = Once()
        self._stopping = threading.Event()

    def begins(self) -> bool:
        """Whether the caller is the one who has to start the thread."""
        return self._begun.value is None and self._begun.claim(True)

    def start(self) -> None:
        """Start the thread."""
        try:
            threading.Thread(target=self._look, name="handlebar-polling", daemon=True).start()
        except RuntimeError:  # too many threads (the next decision tries again), or the interpreter is shutting down
            self._begun.release(True)

    def stop(self) -> None:
        """Let the thread end; in a child of a fork there is none, and the lock may be held for ever."""
        if os.getpid() == self._pid:
            self._stopping.set()

    def _look(self) -> None:
        chores = [
            _Chore("status", lambda: self._with_agent(self.watch.look_at_status), self._seconds),
            _Chore("budgets", lambda: self._with_agent(self.watch.look_at_budgets), self._seconds),
        ]
        while not self._stopping.wait(max(0.0, min(each.due for each in chores) - monotonic())):
            for each in chores:
                if each.due <= monotonic() and not self._stopping.is_set():
                    each.attempt()

    def _with_agent(self, look: Callable[[str], None]) -> None:
        agent_id = self._registration.agent_id
        if agent_id is not None:
            look(agent_id)


def _jittered(seconds: float) -> float:
    # Not `random`: it takes milliseconds to import, and a fork's child would go on with its parent's numbers.
    chance = int.from_bytes(os.urandom(4), "big") / 2**32
    return seconds * (1 + _SPREAD * (2 * chance - 1))
