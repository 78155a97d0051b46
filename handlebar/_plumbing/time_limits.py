"""
Functions of the user's, called so that they can harm nobody: bounded in time, never inside themselves.

What they raise goes on to whoever calls `call_within`; `told` says of it what may be told.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextvars import ContextVar
from pathlib import PurePath
from traceback import walk_tb
from typing import Any

from handlebar._plumbing.awaiting import HOOK_THREADS, finish, is_awaitable, settle
from handlebar._plumbing.clock import Deadline
from handlebar._plumbing.forking import PerProcess

MOST_HANGING = 16
"""So many calls that have outlived their time limit may hang; then further ones are not made."""

_GRACE_SECONDS = 0.05
"""What is awaited is cancelled a little after the caller has given up, so that the caller says why."""

_inside: ContextVar[tuple[Callable[..., Any], ...]] = ContextVar("handlebar_user_functions", default=())


class CallError(Exception):
    """A call was not made, not waited for, or gave nothing usable; its words are ours, and may be told."""


class NoThreadError(CallError):
    """There was no thread to make the call on: as many as may be are busy, or the interpreter is about to exit."""


class _Hanging:
    """Counts the calls of one process that nobody waits for any more."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.number = 0

    def add(self, future: Future[Any]) -> None:
        """Count the call until it ends after all."""
        self._change(1)
        future.add_done_callback(lambda _: self._change(-1))

    def _change(self, by: int) -> None:
        with self._lock:
            self.number += by


_hanging: PerProcess[_Hanging] = PerProcess(_Hanging)


def call_within(fn: Callable[..., Any], *args: Any, timeout_seconds: float | None = None) -> Any:
    """
    Call *fn*, sync or async, and return its result.

    Without a limit a sync *fn* runs in the caller's thread. With one it runs on a daemon thread, with a copy
    of the caller's context, and is left behind when the time is over.

    Raises:
        CallError: *fn* took longer than *timeout_seconds*; or it was not called, because it would have been
            called from inside itself, or because 16 calls hang already.
    """
    outer = _inside.get()
    if any(fn is each for each in outer):
        raise CallError("not called from inside itself")
    token = _inside.set((*outer, fn))
    try:
        return settle(fn(*args)) if timeout_seconds is None else _call_on_thread(fn, args, timeout_seconds)
    finally:
        _inside.reset(token)


def told(error: BaseException) -> str:
    """Say of *error* its class and where it was raised; its words may hold what must not be logged."""
    if isinstance(error, CallError):
        return str(error)
    frames = [(frame.f_code, line) for frame, line in walk_tb(error.__traceback__)]
    if not frames:
        return type(error).__name__
    code, line = frames[-1]
    return f"{type(error).__name__} in {code.co_name} ({PurePath(code.co_filename).name}, line {line})"


def _call_on_thread(fn: Callable[..., Any], args: tuple[Any, ...], seconds: float) -> Any:
    hanging = _hanging.get()
    if hanging.number >= MOST_HANGING:
        raise CallError(f"not called, because {MOST_HANGING} calls hang")
    future = HOOK_THREADS.submit(_call_by, Deadline.after(seconds), fn, args)
    if future is None:
        raise NoThreadError("not called, because no thread could be started")
    try:
        return future.result(seconds)
    except FutureTimeoutError:  # on Python 3.10 not yet the builtin one
        if future.done():  # it is *fn*'s own
            raise
        hanging.add(future)
        raise CallError(f"took longer than {seconds:g} s") from None


def _call_by(deadline: Deadline, fn: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    value = fn(*args)
    return finish(value, deadline.remaining() + _GRACE_SECONDS) if is_awaitable(value) else value
