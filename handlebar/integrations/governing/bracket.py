"""A block of code that is one invocation: its run is the current one inside, and ends with it if it began it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from handlebar._plumbing.awaiting import to_thread
from handlebar.core.current import bound
from handlebar.integrations.governing.invocation import About, Invocation, Invocations


@contextmanager
def opened(invocations: Invocations, about: About) -> Iterator[Invocation]:
    """Begin an invocation, and finish it, whatever happens; *about* is as for `Invocations.begin`."""
    invocation = invocations.begin(about)
    try:
        with bound(invocation.run):
            yield invocation
    except BaseException as error:
        invocations.finish(invocation, error)
        raise
    invocations.finish(invocation)


@asynccontextmanager
async def opened_async(invocations: Invocations, about: About) -> AsyncIterator[Invocation]:
    """Like `opened`; the loop is free while a run is started or ended."""
    invocation = await to_thread(invocations.begin, about)
    try:
        with bound(invocation.run):
            yield invocation
    except BaseException as error:
        await to_thread(invocations.finish, invocation, error)
        raise
    await to_thread(invocations.finish, invocation)
