"""A tool and its guard: what a call of it is called, and what becomes of a call that is blocked."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Literal

from attrs import evolve, field, frozen

from handlebar.core import tool_call
from handlebar.core.arguments import ByName, by_name
from handlebar.core.schema import checks
from handlebar.core.schema.governance import Decision
from handlebar.core.tool_call import CallPlan, ToolHooks
from handlebar.errors import ConfigError, ToolBlockedError

Refusal = Callable[[Decision], Any]
"""Turns the decision that blocked a call into what the caller gets in the result's place."""


def refusal_text(decision: Decision) -> str:
    """Return a refusal that a model can read: the reason, and what to do instead where policy says so."""
    guidance = f" {decision.guidance}" if decision.guidance else ""
    return f"Blocked by policy: {decision.message}{guidance}"


@frozen(kw_only=True)
class Guard:
    """
    How a tool is guarded; the arguments of `handlebar.tool`, checked.

    Attributes:
        on_block: `raise` ToolBlockedError, or `return` what *refusal* makes of the decision.

        require_run: Whether a call without a current run raises NoCurrentRunError.

        on_approval: `block`: a call that a person has to approve is blocked like any other; `raise`
            ApprovalPendingError, and the run is parked.

        wait_for_approval: Seconds to wait for the person's answer first.
    """

    name: str = field(validator=checks.filled_text)
    tags: tuple[str, ...] | None = field(
        default=None, converter=checks.tuple_or_none, validator=checks.optional(checks.texts)
    )
    description: str | None = field(default=None, validator=checks.optional(checks.text))
    on_block: Literal["raise", "return"] = field(default="raise", validator=checks.one_of(("raise", "return")))
    refusal: Refusal = field(default=refusal_text, validator=checks.callable_)
    require_run: bool = field(default=True, validator=checks.truth)
    on_approval: Literal["block", "raise"] = field(default="block", validator=checks.one_of(("block", "raise")))
    wait_for_approval: float | None = field(default=None, validator=checks.optional(checks.number(above=0)))

    def refuse(self, decision: Decision) -> Any:
        """Answer a blocked call in the way that was chosen."""
        if self.on_block == "raise":
            raise ToolBlockedError(decision)
        return self.refusal(decision)


@frozen
class GuardedTool:
    """A function, its guard, and the way to name its arguments."""

    fn: Callable[..., Any]
    guard: Guard
    name_arguments: ByName
    is_async: bool

    def call(self, hooks: ToolHooks, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Make a governed call; for a coroutine function, return the coroutine that makes it."""
        plan = CallPlan(
            tool_name=self.guard.name,
            tool_tags=self.guard.tags,
            args=self.name_arguments(args, kwargs),
            body=lambda: self.fn(*args, **kwargs),
            refuse=self.guard.refuse,
            raise_if_pending=self.guard.on_approval == "raise",
            wait_for_approval=self.guard.wait_for_approval,
        )
        return tool_call.call_async(hooks, plan) if self.is_async else tool_call.call(hooks, plan)


def guarded_tool(fn: Any, **options: Any) -> GuardedTool:
    """
    Put a guard on *fn*; name and description are the function's own where *options* give none.

    Raises:
        ConfigError: *fn* cannot be guarded, or an option has a value that is not allowed.
    """
    _check_guardable(fn)
    defaults = {"name": getattr(fn, "__name__", type(fn).__name__), "description": inspect.getdoc(fn)}
    given = {name: value for name, value in options.items() if value is not None}
    return GuardedTool(fn, Guard(**{**defaults, **given}), by_name(fn), _is_async(fn))


def as_guarded(tool: Any) -> GuardedTool:
    """Return the guard that *tool* has, or the usual one for a callable that has none."""
    known = getattr(tool, "handlebar_guard", None)
    if not isinstance(known, GuardedTool):
        named = {"name": getattr(tool, "name", None), "tags": getattr(tool, "tags", None)}
        return guarded_tool(tool, **named)
    if not inspect.ismethod(tool):
        return known
    method = known.fn.__get__(tool.__self__)
    return evolve(known, fn=method, name_arguments=by_name(method))


def _check_guardable(fn: Any) -> None:
    if isinstance(fn, (staticmethod, classmethod)):
        raise ConfigError("tool", fn, "a function; put @staticmethod or @classmethod above @tool")
    if not callable(fn) or isinstance(fn, type):
        raise ConfigError("tool", fn, "a function or coroutine function")
    if _any_of(fn, inspect.isgeneratorfunction) or _any_of(fn, inspect.isasyncgenfunction):
        raise ConfigError("tool", fn, "a function that returns; collect what the generator yields")


def _is_async(fn: Any) -> bool:
    return _any_of(fn, inspect.iscoroutinefunction)


def _any_of(fn: Any, test: Callable[[Any], bool]) -> bool:
    """Whether *test* holds for *fn*, for what it wraps, or for the `__call__` of its class."""
    return test(fn) or test(inspect.unwrap(fn)) or test(getattr(type(fn), "__call__", None))  # noqa: B004  # the method is wanted, not an answer to "callable?"
