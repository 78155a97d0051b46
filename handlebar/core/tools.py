"""The decorator for tools: functions that ask before they run."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar, overload

from handlebar.core.current import get_current_run
from handlebar.core.guarding import Guard, GuardedTool, Refusal, guarded_tool, refusal_text
from handlebar.core.run import Run
from handlebar.errors import NoCurrentRunError

F = TypeVar("F", bound=Callable[..., Any])


@overload
def tool(fn: F, /) -> F: ...


@overload
def tool(
    *,
    name: str | None = None,
    tags: Sequence[str] | None = None,
    description: str | None = None,
    on_block: Literal["raise", "return"] = "raise",
    refusal: Refusal = refusal_text,
    require_run: bool = True,
    on_approval: Literal["block", "raise"] = "block",
    wait_for_approval: float | None = None,
) -> Callable[[F], F]: ...


def tool(fn: Any = None, /, **options: Any) -> Any:
    """
    Guard a function: each call is decided under the current run, timed and recorded.

    Works on functions, methods and coroutine functions, as `@tool` or `@tool(tags=[…])`. Arguments reach the
    rules by parameter name, defaults filled in. The tool's own exceptions go on to the caller unchanged.
    Thread-safe.

    Args:
        fn: The function to guard.

        options: `name` (the name that rules match; the function's own by default); `tags` (words that rules
            match); `description` (the function's docstring by default); `on_block` (`raise` ToolBlockedError, or
            `return` a refusal in the result's place; a run that policy stops always raises RunTerminatedError);
            `refusal` (makes the refusal from the decision; a sentence for the model by default); `require_run`
            (whether a call without a current run raises NoCurrentRunError; if not, such a call goes through
            ungoverned); `wait_for_approval` (seconds to wait where a person has to approve a call);
            `on_approval` (`block` such a call, or `raise` ApprovalPendingError, which parks the run).

    Raises:
        ConfigError: *fn* is a generator function (its body would run after the decision was recorded), or an
            option has a value that is not allowed.
    """
    if fn is None:
        return lambda decorated: _wrapper(guarded_tool(decorated, **options))
    return _wrapper(guarded_tool(fn, **options))


def _wrapper(guarded: GuardedTool) -> Any:
    wrapper: Any = _async_wrapper(guarded) if guarded.is_async else _sync_wrapper(guarded)
    functools.update_wrapper(wrapper, guarded.fn)
    guard = guarded.guard
    # What `init(tools=…)`, `run.call_tool`, `wrap_tool` and framework adapters look for on a tool.
    wrapper.name, wrapper.tags, wrapper.description = guard.name, guard.tags or (), guard.description
    wrapper.handlebar_guard = guarded
    return wrapper


def _sync_wrapper(guarded: GuardedTool) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        run = _run_for(guarded.guard)
        return guarded.fn(*args, **kwargs) if run is None else guarded.call(run, args, kwargs)

    return call


def _async_wrapper(guarded: GuardedTool) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        run = _run_for(guarded.guard)
        return await (guarded.fn(*args, **kwargs) if run is None else guarded.call(run, args, kwargs))

    return call


def _run_for(guard: Guard) -> Run | None:
    run = get_current_run()
    if run is None and guard.require_run:
        raise NoCurrentRunError(
            f"The tool {guard.name!r} was called outside a run. Call it inside `with client.run(...)`, where client is "
            "what handlebar.init(...) has returned, carry the run into your thread with `handlebar.bind(fn)`, or guard "
            "it with require_run=False."
        )
    return run
