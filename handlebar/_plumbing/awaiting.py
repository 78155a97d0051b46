"""
Between blocking code and `await`.

Blocking code settles what turns out to be awaitable; awaitable twins of blocking methods are derived.
asyncio takes 30 ms to import, so it is imported where something is really awaited.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Awaitable, Callable, Coroutine
from time import perf_counter
from typing import Any, Concatenate, ParamSpec, TypeGuard, TypeVar

from handlebar._plumbing import logs
from handlebar._plumbing.daemon_threads import DaemonThreads

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
Owner = TypeVar("Owner")

STALL_SECONDS = 0.05
"""Longer than this, an event loop's other tasks notice that they wait."""

HOOK_THREADS = DaemonThreads("hook")
"""Where functions of the user's run that must not run in the caller's thread."""


def is_awaitable(value: object) -> TypeGuard[Awaitable[Any]]:
    """Whether *value* can be awaited; asks its class only, so that no lazy object is woken."""
    return hasattr(type(value), "__await__")


def settle(value: Any) -> Any:
    """
    Return the result of *value* where it is awaitable, *value* itself otherwise.

    Works whether or not a loop runs in this thread: the awaitable runs in a loop of its own, on a daemon
    thread, with a copy of the caller's context. So the caller's thread keeps its loop and signal handlers.
    """
    if not is_awaitable(value):
        return value
    outcome = HOOK_THREADS.submit(finish, value)
    if outcome is None:
        _drop(value)
        raise RuntimeError("No thread could be started to await in")
    return outcome.result()


def _drop(value: Awaitable[Any]) -> None:
    """Close a coroutine that will never be awaited, so that Python does not warn of it."""
    if isinstance(value, Coroutine):
        value.close()


def finish(value: Awaitable[T], timeout_seconds: float | None = None) -> T:
    """
    Run *value* to its result in this thread, in which no loop may be running.

    Raises:
        TimeoutError: It took longer than *timeout_seconds*; it has been cancelled.

        RuntimeError: It was cancelled by somebody else.
    """
    import asyncio

    async def awaited() -> T:
        return await asyncio.wait_for(value, timeout_seconds)

    try:
        return asyncio.run(awaited())
    except asyncio.TimeoutError as error:  # on Python 3.10 not yet the builtin one
        raise TimeoutError(*error.args) from error
    except asyncio.CancelledError as error:  # a BaseException, which would end the agent
        raise RuntimeError("What was awaited has been cancelled") from error


def warn_of_stall(what: str, began: float) -> None:
    """
    Warn, once a minute, where blocking work has held up an event loop that runs in this thread.

    Args:
        what: The awaitable methods that would not have done so.

        began: When the work began, as `perf_counter` counts.
    """
    seconds = perf_counter() - began
    if seconds < STALL_SECONDS or not loop_runs_here():
        return
    logs.warn_once_a_minute(
        "stall",
        "A blocking call held the event loop up for %.1f s: in a coroutine, await %s (without _sync), enter runs by "
        "`async with`, and make tools coroutine functions or call them by asyncio.to_thread",
        seconds,
        what,
    )


def loop_runs_here() -> bool:
    """Whether this thread runs an event loop at present; asyncio is not imported for it."""
    asyncio = sys.modules.get("asyncio")  # where nobody has imported it, no loop runs
    try:
        return asyncio is not None and asyncio.get_running_loop() is not None
    except RuntimeError:
        return False


async def to_thread(fn: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call *fn* in a worker thread, with a copy of the caller's context, and await its result."""
    import asyncio

    return await asyncio.to_thread(fn, *args, **kwargs)


async def _nothing() -> None:
    """Await nothing."""


def awaitable(
    blocking: Callable[Concatenate[Owner, P], R], *, first: Callable[[], Awaitable[None]] = _nothing
) -> Callable[Concatenate[Owner, P], Coroutine[Any, Any, R]]:
    """
    Derive the awaitable twin of a *blocking* method, named `<name>_sync`.

    For class bodies: `end = awaitable(end_sync)`. The twin has the method's signature and docstring, looks
    the method up by name on the instance, so that a subclass overrides both at once, and calls it by
    `to_thread`.

    Args:
        blocking: The method.

        first: Awaited before, in the caller's own task.
    """
    name = blocking.__name__

    @functools.wraps(blocking)
    async def twin(self: Owner, /, *args: P.args, **kwargs: P.kwargs) -> R:
        await first()
        method: Callable[P, R] = getattr(self, name)
        return await to_thread(method, *args, **kwargs)

    twin.__name__ = name.removesuffix("_sync")
    twin.__qualname__ = blocking.__qualname__.removesuffix("_sync")
    return twin
