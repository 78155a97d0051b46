"""
The current run: which run the code at hand belongs to.

A new thread starts with none, nesting restores the outer run, and no thread, greenlet or task sees another's.
It is kept in a ContextVar that holds a stack, because a plain `threading.local` hands one request another
request's run under gevent with preload, and leaves runs behind on pool threads.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar, cast

from handlebar.core.run import Run
from handlebar.errors import ConfigError

F = TypeVar("F", bound=Callable[..., Any])

_stack: ContextVar[tuple[Run, ...]] = ContextVar("handlebar_runs", default=())


def get_current_run() -> Run | None:
    """Return the innermost run that is bound here, None where there is none."""
    stack = _stack.get()
    return stack[-1] if stack else None


def push(run: Run) -> None:
    """Make *run* the current one, until `pop`."""
    _stack.set((*_stack.get(), run))


def pop(run: Run) -> None:
    """Take the innermost binding of *run* away; what else was bound stays."""
    stack = _stack.get()
    for place in reversed(range(len(stack))):
        if stack[place] is run:
            _stack.set(stack[:place] + stack[place + 1 :])
            return


@contextmanager
def bound(run: Run | None) -> Iterator[None]:
    """Make *run* the current one inside the block; None changes nothing."""
    if run is None:
        yield
        return
    push(run)
    try:
        yield
    finally:
        pop(run)


def with_run(run: Run, fn: Callable[[], Any]) -> Any:
    """
    Call *fn* with *run* bound, and return its result.

    Where *fn* is a coroutine function, or returns an awaitable, so is the result: await it.
    The run is not ended.
    """
    if inspect.iscoroutinefunction(fn):
        return _awaited(run, fn)
    with bound(run):
        result = fn()
    return _awaited(run, lambda: result) if inspect.isawaitable(result) else result


def bind(fn: F) -> F:
    """
    Return *fn* carrying the run that is current now, for `executor.submit` and `Thread(target=…)`.

    Works on functions and coroutine functions..

    Raises:
        ConfigError: *fn* is a generator function, whose body would run outside the binding.
    """
    if inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
        raise ConfigError("fn", fn, "a function that returns; bind the function that consumes the generator")
    run = get_current_run()
    if inspect.iscoroutinefunction(fn):
        return cast(F, _bound_async(run, fn))
    return cast(F, _bound(run, fn))


def _bound(run: Run | None, fn: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(fn, updated=())
    def call(*args: Any, **kwargs: Any) -> Any:
        with bound(run):
            return fn(*args, **kwargs)

    return call


def _bound_async(run: Run | None, fn: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(fn, updated=())
    async def call(*args: Any, **kwargs: Any) -> Any:
        with bound(run):
            return await fn(*args, **kwargs)

    return call


async def _awaited(run: Run, fn: Callable[[], Any]) -> Any:
    with bound(run):
        return await fn()
