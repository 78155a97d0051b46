"""
The current run: which run the code at hand belongs to, within which request.

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

from attrs import evolve, frozen

from handlebar.core.request_scope import OUTSIDE, Scope
from handlebar.core.run import Run
from handlebar.errors import ConfigError

F = TypeVar("F", bound=Callable[..., Any])


@frozen
class _Here:
    """What is bound at one place: a request, and a stack of runs."""

    scope: Scope = OUTSIDE
    runs: tuple[Run, ...] = ()


_NOTHING = _Here()
_here: ContextVar[_Here] = ContextVar("handlebar_here", default=_NOTHING)


def get_current_run() -> Run | None:
    """Return the innermost run that is bound here, None where there is none."""
    runs = _here.get().runs
    return runs[-1] if runs else None


def get_current_scope() -> Scope:
    """Return the scope of the request that is served here."""
    return _here.get().scope


async def prepare() -> None:
    """Ask what can only be awaited about the request that is served here; comes before a coroutine starts a run."""
    await get_current_scope().prepare()


def push(run: Run) -> None:
    """Make *run* the current one, until `pop`."""
    here = _here.get()
    _here.set(evolve(here, runs=(*here.runs, run)))


def pop(run: Run) -> None:
    """Take the innermost binding of *run* away; what else was bound stays."""
    here = _here.get()
    for place in reversed(range(len(here.runs))):
        if here.runs[place] is run:
            _here.set(evolve(here, runs=here.runs[:place] + here.runs[place + 1 :]))
            return


class Place:
    """
    What is bound at one place, to be there again at another: between the chunks of a response, in another thread.

    A `with` block, any number of times, nested too, but in one thread at a time: in it is bound what was bound when
    the last one was left; outside, what was bound before. No token is kept, because a stream may be closed in
    another context.
    """

    def __init__(self, scope: Scope | None = None) -> None:
        """Begin with *scope* and no run; None for what is bound here."""
        self._inside = _here.get() if scope is None else _Here(scope)
        self._outside: list[_Here] = []

    def __enter__(self) -> None:
        self._outside.append(_here.get())
        _here.set(self._inside)

    def __exit__(self, *error: object) -> None:
        self._inside = _here.get()
        _here.set(self._outside.pop())


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
    Return *fn* carrying the run and the request that are current now, for `executor.submit` and `Thread(target=…)`.

    Works on functions and coroutine functions.

    Raises:
        ConfigError: *fn* is a generator function, whose body would run outside the binding.
    """
    if inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
        raise ConfigError("fn", fn, "a function that returns; bind the function that consumes the generator")
    here = _here.get()
    if inspect.iscoroutinefunction(fn):
        return cast(F, _bound_async(here, fn))
    return cast(F, _bound(here, fn))


@contextmanager
def _carried(there: _Here) -> Iterator[None]:
    """Bind the innermost run and the request of *there*; what it has not stays as it is."""
    here = _here.get()
    scope = here.scope if there.scope is OUTSIDE else there.scope
    _here.set(_Here(scope, (*here.runs, *there.runs[-1:])))
    try:
        yield
    finally:
        _here.set(here)


def _bound(there: _Here, fn: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(fn, updated=())
    def call(*args: Any, **kwargs: Any) -> Any:
        with _carried(there):
            return fn(*args, **kwargs)

    return call


def _bound_async(there: _Here, fn: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(fn, updated=())
    async def call(*args: Any, **kwargs: Any) -> Any:
        with _carried(there):
            return await fn(*args, **kwargs)

    return call


async def _awaited(run: Run, fn: Callable[[], Any]) -> Any:
    with bound(run):
        return await fn()
