"""Calls that are made later, by the monotonic clock."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable

from handlebar._plumbing import logs
from handlebar._plumbing.clock import monotonic
from handlebar._plumbing.daemon_threads import DaemonThreads
from handlebar._plumbing.forking import PerProcess
from handlebar._plumbing.time_limits import told

IDLE_SECONDS = 2.0
"""The thread ends when nothing has been scheduled for so long."""

MOST_CALLS = 16
"""So many calls may be under way at once; the next ones wait for a free place."""

_LONGEST_WAIT = 3600.0
"""A lock refuses to wait for centuries, which somebody's time to live may well be."""

_BUSY_WAIT = 0.1
_TIDY_FROM = 64


class Timer:
    """One call to be made later; lives until the call is made or cancelled."""

    def __init__(self, timers: Timers, fn: Callable[[], object]) -> None:
        self._timers = timers
        self._call: list[Callable[[], object]] = [fn]

    def cancel(self) -> None:
        """Take the call back; one that is under way goes on. May be called at any time, from any process."""
        if self._taken() is not None:
            self._timers.forget_cancelled()

    @property
    def waiting(self) -> bool:
        """Whether the call has neither begun nor been cancelled."""
        return bool(self._call)

    def fire(self) -> None:
        """Make the call, unless somebody was faster."""
        fn = self._taken()
        try:
            if fn is not None:
                fn()
        except Exception as error:  # nobody waits for it
            logs.warn_once_a_minute("timers", "A scheduled call failed: %s", told(error))

    def _taken(self) -> Callable[[], object] | None:
        """Take the call out, for one taker only (`list.pop` is atomic)."""
        try:
            return self._call.pop()
        except IndexError:
            return None


class Timers:
    """
    Makes calls later; lives as long as the process.

    Thread-safe and fork-safe. One daemon thread `handlebar-timers`, started on first use, keeps the time;
    the calls run on threads of their own, so that one that hangs delays no other. A fork's child starts
    with no timers.
    """

    def __init__(self) -> None:
        self._agenda: PerProcess[_Agenda] = PerProcess(_Agenda)

    def schedule(self, seconds: float, fn: Callable[[], object]) -> Timer:
        """Call *fn* in *seconds* from now, unless the timer is cancelled before."""
        timer = Timer(self, fn)
        self._agenda.get().add(monotonic() + seconds, timer)
        return timer

    def forget_cancelled(self) -> None:
        """Take note that a timer of some process was cancelled."""
        agenda = self._agenda.peek()
        if agenda is not None:
            agenda.one_cancelled()


class _Agenda:
    """The timers of one process, earliest first; the lock is re-entrant, for signal handlers."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._entries: list[tuple[float, int, Timer]] = []
        self._numbers = itertools.count()
        self._cancelled = 0
        self._running = False
        self._threads = DaemonThreads("timer-call", most=MOST_CALLS)

    def add(self, due: float, timer: Timer) -> None:
        with self._changed:
            heapq.heappush(self._entries, (due, next(self._numbers), timer))
            start, self._running = not self._running, True
            if self._entries[0][2] is timer:
                self._changed.notify()
        if start:
            self._start()

    def one_cancelled(self) -> None:
        """Throw cancelled timers out as soon as they are the greater part, so that they take no memory."""
        with self._changed:
            self._cancelled += 1
            if self._cancelled > max(_TIDY_FROM, len(self._entries) // 2):
                self._entries = [entry for entry in self._entries if entry[2].waiting]
                heapq.heapify(self._entries)
                self._cancelled = 0
            # The thread may be waiting for this very timer, and for nothing else.
            self._changed.notify()

    def _start(self) -> None:
        try:
            threading.Thread(target=self._keep_time, name="handlebar-timers", daemon=True).start()
        except RuntimeError:  # too many threads (the next timer tries again), or the interpreter is shutting down
            self._running = False

    def _keep_time(self) -> None:
        while (timer := self._next()) is not None:
            if timer.waiting and self._threads.submit(timer.fire) is None:
                self.add(monotonic() + _BUSY_WAIT, timer)

    def _next(self) -> Timer | None:
        """Wait for the next timer that is due; None, and the thread ends, where there is none for long."""
        with self._changed:
            idle_from = monotonic()
            while True:
                while self._entries and not self._entries[0][2].waiting:
                    heapq.heappop(self._entries)
                wait = self._entries[0][0] - monotonic() if self._entries else IDLE_SECONDS
                if self._entries and wait <= 0:
                    return heapq.heappop(self._entries)[2]
                if not self._entries and monotonic() - idle_from >= IDLE_SECONDS:
                    self._running = False
                    return None
                self._changed.wait(min(wait, _LONGEST_WAIT))


_process_timers = Timers()
schedule = _process_timers.schedule
"""`Timers.schedule` of the timers that all clients of a process share."""
