"""The decorator for tasks whose executions are runs."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, NoReturn, Protocol, overload

from celery import Celery, current_task, shared_task
from celery.exceptions import Retry

from handlebar.errors import ApprovalPendingError
from handlebar.integrations.celery import parking
from handlebar.integrations.celery.executing import Execution, execution_of
from handlebar.integrations.celery.parking import Parked

_LATE = "Nobody has answered in time whether a tool call may be made"


class CeleryTask(Protocol):
    """A task as Celery makes it, which tells no types: `delay`, `apply_async`, `s` and all the rest."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it as a function."""
        ...

    def __getattr__(self, name: str) -> Any: ...


@overload
def governed_task(fn: Callable[..., Any], /) -> CeleryTask: ...


@overload
def governed_task(*, app: Celery | None = None, **options: Any) -> Callable[[Callable[..., Any]], CeleryTask]: ...


def governed_task(fn: Callable[..., Any] | None = None, /, *, app: Celery | None = None, **options: Any) -> Any:
    """
    Make a task of a function, each of whose executions is a run: `@governed_task`, `@governed_task(bind=True, …)`.

    The run has the session and the actor of whoever published the task. Where a tool raises ApprovalPendingError, the
    run is parked and the task published again, later, until a person has answered: its code then runs again from its
    beginning, in the same run, so what it does before the call that asks must bear being done twice. No worker waits
    meanwhile, and `max_retries` does not count it. Where nobody answers in time, the task fails with TimeoutError.

    Args:
        fn: The task's function.

        app: The app that it belongs to; every app where it is None, as with `shared_task`.

        options: Celery's options of a task; and `handlebar`, a dict of `run` (False for no run),
            `approval_seconds` (how long the task waits for a person at most, a day by default) and `look_seconds`
            (how often it is looked for an answer, at the least once a minute by default).
    """
    if fn is None:
        return lambda decorated: _registered(decorated, app, options)
    return _registered(fn, app, options)


def _registered(fn: Callable[..., Any], app: Celery | None, options: dict[str, Any]) -> Any:
    register: Any = shared_task if app is None else app.task
    mine = {"run": True, **(options.get("handlebar") or {})}
    return register(**{**options, "handlebar": mine})(_parking(fn))


def _parking(fn: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        execution = execution_of(current_task) if current_task else None
        if execution is not None and execution.is_waiting:
            _look_again(execution)
        try:
            return fn(*args, **kwargs)
        except ApprovalPendingError as pending:
            # An eager task has no broker to come back from.
            if execution is None or execution.is_eager or not execution.waits_for(pending):
                raise
            raise _park(execution, pending) from pending

    # Celery checks the arguments of a task by its signature when it is published.
    call.__signature__ = inspect.signature(fn)  # type: ignore[attr-defined]  # functions take any attribute
    return call


def _look_again(execution: Execution) -> NoReturn:
    """Nobody has answered yet: publish the task again, or give up."""
    parked = execution.parked
    assert parked is not None  # it waits
    if parked.may_wait(execution.options.approval_seconds):
        raise _published(execution, parked.after_a_look(), None)
    with execution.governed.client.resume_run(parked.token):
        raise TimeoutError(_LATE)


def _park(execution: Execution, pending: ApprovalPendingError) -> Exception:
    before = execution.parked
    since = parking.now() if before is None else before.since
    parked = Parked(token=pending.resume_token, approval_id=pending.approval_id, since=since)
    if parked.may_wait(execution.options.approval_seconds):
        return _published(execution, parked, pending)
    return TimeoutError(_LATE)


def _published(execution: Execution, parked: Parked, pending: ApprovalPendingError | None) -> Exception:
    """Publish the task again, for later; the exception tells Celery that it has not ended."""
    request = current_task.request
    header = parking.write(parked, request.id, execution.governed.sealing)
    if header is None:
        return pending or TimeoutError("A task that waits for a person cannot be published: its token is too long")
    countdown = parked.next_look(execution.options.look_seconds)
    headers = {**(request.headers or {}), parking.HEADER.name: header}
    current_task.signature_from_request(
        request, countdown=countdown, retries=request.retries, headers=headers
    ).apply_async()
    again: Exception = Retry(exc=pending, when=countdown)
    return again
