"""Something that is done again and again."""

from __future__ import annotations

import threading
from collections.abc import Callable

from handlebar._plumbing.forking import PerProcess
from handlebar._plumbing.timers import Timer, schedule


class Repeating:
    """
    Makes a call again and again, by the timers of the process; lives as long as who makes it.

    Thread-safe and fork-safe: begins with `start`, in each process for itself.

    Args:
        seconds: How long to wait between two calls.

        call: What is called; what it raises is logged, and it is called again.
    """

    def __init__(self, seconds: float, call: Callable[[], object]) -> None:
        self._seconds = seconds
        self._call = call
        self._process: PerProcess[_Process] = PerProcess(_Process)

    def start(self) -> None:
        """Begin, unless that has been done."""
        process = self._process.get()
        if process.timer is None:
            with process.lock:
                if process.timer is None:
                    process.timer = self._next(process)

    def stop(self) -> None:
        """Make no further call in this process; a call that is under way goes on."""
        process = self._process.peek()
        if process is None:
            return
        with process.lock:
            timer, process.timer = process.timer, None
        if timer is not None:
            timer.cancel()

    def _next(self, process: _Process) -> Timer:
        return schedule(self._seconds, lambda: self._carry_out(process))

    def _carry_out(self, process: _Process) -> None:
        with process.lock:
            mine = process.timer
        try:
            self._call()
        finally:
            with process.lock:
                # Another one where it was stopped, and begun anew, meanwhile.
                if process.timer is mine and mine is not None:
                    process.timer = self._next(process)


class _Process:
    """The calls of one process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.timer: Timer | None = None
