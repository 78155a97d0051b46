"""Named daemon threads that run one call after another."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

from handlebar._plumbing.forking import PerProcess

R = TypeVar("R")

IDLE_SECONDS = 2.0
"""A thread that has had nothing to do for so long ends."""


class DaemonThreads:
    """
    Lends daemon threads named `handlebar-<name>-<number>`; lives as long as the process.

    Thread-safe and fork-safe: threads are started on first use, used again while there is work, and a fork's
    child starts with none.

    Args:
        name: What the threads are for.

        most: How many there may be; None where what uses them bounds their number.
    """

    def __init__(self, name: str, *, most: int | None = None) -> None:
        self._crew: PerProcess[_Crew] = PerProcess(partial(_Crew, name, most))

    def submit(self, fn: Callable[..., R], *args: Any) -> Future[R] | None:
        """
        Call *fn* on one of the threads, with a copy of the caller's context.

        Returns:
            What comes of it; None where all threads are busy or none can be started: then *fn* is not called.
        """
        crew = self._crew.get()
        if not crew.claim():
            return None
        future: Future[R] = Future()
        # What is called cannot be called back: whoever waits may be cancelled, and the result then goes nowhere.
        future.set_running_or_notify_cancel()
        crew.jobs.put(partial(_carry_out, future, os.getpid(), partial(copy_context().run, fn, *args)))
        return future


class _Crew:
    """The threads of one process; the lock is re-entrant, because a signal handler may come here too."""

    def __init__(self, name: str, most: int | None) -> None:
        self.jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._name = name
        self._most = most
        self._lock = threading.RLock()
        self._started = 0
        self._alive = 0
        self._idle = 0

    def claim(self) -> bool:
        """Make sure that a thread is waiting for the next job, starting one where all are busy."""
        with self._lock:
            if self._idle:
                self._idle -= 1
                return True
            if self._most is not None and self._alive >= self._most:
                return False
            self._alive += 1
            self._started += 1
            number = self._started
        return self._start(number)

    def _start(self, number: int) -> bool:
        name = f"handlebar-{self._name}-{number}"
        try:
            threading.Thread(target=self._work, name=name, daemon=True).start()
        except RuntimeError:  # too many threads, or the interpreter is shutting down
            with self._lock:
                self._alive -= 1
            return False
        return True

    def _work(self) -> None:
        process = os.getpid()
        while (job := self._next_job()) is not None:
            job()
            del job  # a waiting thread must not keep alive what its last job held
            if os.getpid() != process:  # the job forked: the child has no use for this loop, nor for its locks
                return
            with self._lock:
                self._idle += 1

    def _next_job(self) -> Callable[[], None] | None:
        """Wait for a job; None where the thread is not wanted any more."""
        while True:
            try:
                return self.jobs.get(timeout=IDLE_SECONDS)
            except queue.Empty:
                if self._retire():
                    return None

    def _retire(self) -> bool:
        with self._lock:
            # If no thread counts as idle, a job for this one is on its way.
            if not self._idle:
                return False
            self._idle -= 1
            self._alive -= 1
            return True


def _carry_out(future: Future[Any], process: int, call: Callable[[], Any]) -> None:
    """Make the *call* and give the *future* what comes of it; not in a child that the call has forked."""
    try:
        result = call()
    except BaseException as error:  # whoever waits for the future gets it
        if os.getpid() == process:
            future.set_exception(error)
    else:
        if os.getpid() == process:
            future.set_result(result)
