"""A block of code that is one invocation: its run is the current one inside, and ends with it if it began it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager

from handlebar._plumbing.awaiting import to_thread
from handlebar.core.current import bound
from handlebar.integrations.governing.invocation import About, Invocation, Invocations


@contextmanager
def opened(invocations: Invocations, about: About) -> Iterator[Invocation]:
    """Begin an invocation, and finish it, whatever happens; *about* is as for `Invocations.begin`."""
    with unbound(invocations, about) as invocation, bound(invocation.run):
        yield invocation


@contextmanager
def unbound(invocations: Invocations, about: About) -> Iterator[Invocation]:
    """Like `opened`, for generators: between what they yield other code runs, which is not the invocation's."""
    invocation = invocations.begin(about)
    try:
        yield invocation
    except BaseException as error:
        invocations.finish(invocation, error)
        raise
    invocations.finish(invocation)


@asynccontextmanager
async def unbound_async(invocations: Invocations, about: About) -> AsyncIterator[Invocation]:
    """Like `unbound`; the loop is free while a run is started or ended."""
    invocation = await to_thread(invocations.begin, about)
    try:
        yield invocation
    except BaseException as error:
        await to_thread(invocations.finish, invocation, error)
        raise
    await to_thread(invocations.finish, invocation)


@asynccontextmanager
async def opened_async(invocations: Invocations, about: About) -> AsyncIterator[Invocation]:
    """Like `opened`; the loop is free while a run is started or ended."""
    async with going_on(invocations, None, about, waits=lambda: None) as invocation:
        yield invocation


@asynccontextmanager
async def going_on(
    invocations: Invocations, run_id: str | None, about: About, *, waits: Callable[[], Collection[str] | None]
) -> AsyncIterator[Invocation]:
    """
    Like `opened_async`, for what a question to a person may interrupt, and what goes on then.

    Args:
        invocations: Where the run is found.

        run_id: The run that was interrupted; None for a new one.

        about: As for `Invocations.begin`.

        waits: Asked at the end: what is waiting, for `Invocations.parked`; None for nothing, which ends the run.
    """
    invocation = await to_thread(invocations.go_on, run_id, about)
    try:
        with bound(invocation.run):
            yield invocation
    except BaseException as error:
        await to_thread(invocations.finish, invocation, error)
        raise
    waiting = waits()
    if waiting is None:
        await to_thread(invocations.finish, invocation)
    else:
        await to_thread(invocations.park, invocation, waiting)
