"""Which of a server's threads answers a request: the same one, as long as it is quick."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Protocol

from attrs import define

from handlebar._plumbing import logs
from handlebar._plumbing.clock import Deadline
from handlebar._plumbing.time_limits import told

PATIENCE = 0.01
"""Seconds that a request may take before those behind it are given to another thread, at most twice."""


class Task(Protocol):
    """What waitress wants done: one request of a connection."""

    def service(self) -> object:
        """Answer it."""

    def cancel(self) -> object:
        """Give up; its connection will be closed."""


@define(eq=False)
class _Turn:
    """The time in which one thread takes what is asked: it writes what it does, others that the time is over."""

    begun: int = 0
    is_busy: bool = False
    is_over: bool = False


class TaskDispatcher:
    """
    Gives requests to one thread, one after the other, and to another where that one is held up.

    Requests that take less than a millisecond, and most of it in Python, are answered a quarter to a third faster so
    than by many threads, which would only hand the interpreter to each other. Who waits, for the database or for a
    client, hands the turn on: as many requests as there are threads may do so, and hold up nobody.

    In the place of waitress's own, of which it has what a server calls. Thread-safe; lives as long as the server.

    Args:
        threads: How many requests may be under way at most.
    """

    def __init__(self, threads: int) -> None:
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._turns: SimpleQueue[_Turn | None] = SimpleQueue()
        self._is_asked = threading.Event()
        self._is_closed = False
        self._turn = self._next_turn()
        self._workers = [self._start(self._work, number) for number in range(1, threads + 1)]
        self._watcher = self._start(self._watch, "watch")

    def add_task(self, task: Task) -> None:
        """Have *task* done, in its turn."""
        self._tasks.put(task)
        if not self._is_asked.is_set():
            self._is_asked.set()

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> bool:
        """
        Finish what has been asked while there is time, and end the threads.

        Args:
            cancel_pending: Whether to cancel what has not begun by then.

            timeout: Seconds to wait.

        Returns:
            Whether what has not begun was to be cancelled.
        """
        deadline = Deadline.after(timeout)
        self._tasks.put(None)
        self._is_asked.set()
        for worker in self._workers:
            worker.join(deadline.remaining())
        self._end()
        self._watcher.join(deadline.remaining())
        if cancel_pending:
            self._cancel_pending()
        return cancel_pending

    def _start(self, work: Callable[[], None], name: object) -> threading.Thread:
        thread = threading.Thread(target=work, name=f"handlebar-server-{name}", daemon=True)
        thread.start()
        return thread

    def _next_turn(self) -> _Turn:
        turn = _Turn()
        self._turns.put(turn)
        return turn

    def _work(self) -> None:
        while (turn := self._turns.get()) is not None:
            while not turn.is_over:
                task = self._tasks.get()
                if task is None:
                    self._end()
                    return
                turn.begun += 1
                turn.is_busy = True
                self._do(task)
                turn.is_busy = False

    def _end(self) -> None:
        """Let no thread wait any more: neither for its turn nor for something to do, nor to see how another does."""
        self._is_closed = True
        self._tasks.put(None)
        for _ in self._workers:
            self._turns.put(None)
        self._is_asked.set()

    def _do(self, task: Task) -> None:
        try:
            task.service()
        except BaseException as error:  # whatever it was, the next request is to find this thread alive
            logs.warn_once_a_minute("server thread", "A request was not answered: %s", told(error))

    def _watch(self) -> None:
        """Hand the turn on where one request takes all of a look's time, as long as there is anything to do."""
        while not self._is_closed:
            self._is_asked.wait()
            turn, begun = self._turn, self._turn.begun
            time.sleep(PATIENCE)
            if begun != turn.begun:
                continue
            if not turn.is_busy:
                self._rest()
            elif not self._tasks.empty():
                turn.is_over = True
                self._turn = self._next_turn()

    def _rest(self) -> None:
        """Look no more until there is something to do; whoever came just now is not forgotten."""
        self._is_asked.clear()
        if not self._tasks.empty():
            self._is_asked.set()

    def _cancel_pending(self) -> None:
        with suppress(Empty):
            while True:
                task = self._tasks.get_nowait()
                if task is not None:
                    task.cancel()
        # Whoever is held up still is to find that this is the end.
        self._tasks.put(None)
