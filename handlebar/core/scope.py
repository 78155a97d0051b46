"""A run as a `with` block: started and bound on entry, ended on exit."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn

from handlebar.core import current
from handlebar.core.plane import RunEndStatus
from handlebar.core.run import Run
from handlebar.errors import ApprovalPendingError, RunTerminatedError

_INTERRUPTIONS = (RunTerminatedError, KeyboardInterrupt, SystemExit, GeneratorExit)
_FOREIGN_INTERRUPTIONS = (("asyncio", "CancelledError"), ("greenlet", "GreenletExit"))

# On Python 3.10 the first two are not yet the builtin TimeoutError.
_FOREIGN_TIMEOUTS = (("asyncio", "TimeoutError"), ("concurrent.futures", "TimeoutError"), ("gevent", "Timeout"))


class RunScope:
    """
    Lives as long as one `with` or `async with` block; made by `client.run(...)`.

    Entering starts the run and makes it current. Leaving ends it: `success`, or `interrupted`, `timeout` or
    `error` by the exception, which goes on to the caller unchanged. ApprovalPendingError parks it instead.
    """

    def __init__(self, start: Callable[[], Run]) -> None:
        self._start = start
        self._run: Run | None = None

    if not TYPE_CHECKING:  # type checkers know without it, and would believe any name

        def __getattr__(self, name: str) -> NoReturn:
            """Tell whoever takes the block for the run."""
            hint = f"; use it as `with client.run(...) as run: run.{name}`" if hasattr(Run, name) else ""
            raise AttributeError(f"'RunScope' object has no attribute {name!r}{hint}")

    def __enter__(self) -> Run:
        return self._entered(self._start())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        run = self._left()
        if isinstance(error, ApprovalPendingError):
            run.park_sync()
        else:
            run.end_sync(status_for(error))

    async def __aenter__(self) -> Run:
        from asyncio import to_thread  # 30 ms to import, and only async callers get here

        await current.prepare()
        return self._entered(await to_thread(self._start))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        run = self._left()
        if isinstance(error, ApprovalPendingError):
            await run.park()
        else:
            await run.end(status_for(error))

    def _entered(self, run: Run) -> Run:
        self._run = run
        current.push(run)
        return run

    def _left(self) -> Run:
        run = self._run
        if run is None:
            raise RuntimeError("This run's block was left before it was entered")
        current.pop(run)
        return run


def status_for(error: BaseException | None) -> RunEndStatus:
    """Return how a run ends whose block was left by *error*."""
    if error is None:
        return "success"
    if isinstance(error, _INTERRUPTIONS) or any(_is(error, *kind) for kind in _FOREIGN_INTERRUPTIONS):
        return "interrupted"
    if isinstance(error, TimeoutError) or any(_is(error, *kind) for kind in _FOREIGN_TIMEOUTS):
        return "timeout"
    return "error"


def _is(error: BaseException, module: str, name: str) -> bool:
    """Whether *error* is a *module.name*; a module that nobody has imported cannot have raised it."""
    kind = getattr(sys.modules.get(module), name, None)
    return kind is not None and isinstance(error, kind)
