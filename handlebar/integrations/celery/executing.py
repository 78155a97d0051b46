"""One execution of a task: bound before the task's code, ended after it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from attrs import define

from handlebar._plumbing.identifiers import uuid7
from handlebar.core import current
from handlebar.core.client import HandlebarClient
from handlebar.core.config import RunConfig
from handlebar.core.current import Place
from handlebar.core.plane import RunEndStatus
from handlebar.core.request_scope import Loader, RequestScope, Sources
from handlebar.core.run import Run
from handlebar.core.schema.agents import Actor
from handlebar.core.scope import status_for
from handlebar.errors import ApprovalPendingError
from handlebar.integrations.celery import lineage, parking
from handlebar.integrations.celery.apps import GovernedApp
from handlebar.integrations.celery.claims import allocated_id, may_end
from handlebar.integrations.celery.leaving import drain
from handlebar.integrations.celery.lineage import Lineage
from handlebar.integrations.celery.options import TaskOptions
from handlebar.integrations.celery.parking import Parked
from handlebar.integrations.serving.identity import identity_from

_KEY = "handlebar_execution"
_SYSTEM = Actor("system")
"""Whom a task acts for that nobody published on somebody's behalf, such as one of Celery's beat."""


@define(eq=False)
class Execution:
    """
    Lives as long as one execution of a task, on Celery's own object for that.

    Attributes:
        is_eager: Whether it is a call inside the publisher's process.

        parked: How the task waited for a person, where it did.

        run: The run of this execution, where it has one.

        is_waiting: Whether nobody has answered yet, so that the task's code is not to run.
    """

    scope: RequestScope
    place: Place
    governed: GovernedApp
    options: TaskOptions
    is_eager: bool = False
    parked: Parked | None = None
    run: Run | None = None
    is_waiting: bool = False

    def waits_for(self, error: Any) -> bool:
        """Whether *error* says that this execution's run, and no other, waits for a person."""
        pending = isinstance(error, ApprovalPendingError)
        return pending and self.run is not None and self.run.resume_token == error.resume_token


def begin(task: Any, governed: GovernedApp, options: TaskOptions) -> None:
    """Bind what the message tells, and start the run where each execution is one."""
    request = task.request
    told = lineage.read(vars(request), request.id, governed.sealing)
    if told is None:
        told = lineage.lineage_here() if request.is_eager else lineage.NONE
    scope = RequestScope(_sources(task, told, governed), client=governed.own_client)
    execution = Execution(scope, Place(scope), governed, options, is_eager=bool(request.is_eager))
    # Before the run is started: whatever happens then, `finish` restores what was bound.
    setattr(request, _KEY, execution)
    execution.place.__enter__()
    if options.opens_run:
        _start(execution, request)


def execution_of(task: Any) -> Execution | None:
    """Return the execution that *task* is in; None where it is called as a plain function."""
    found: Execution | None = vars(task.request).get(_KEY)
    return found


def finish(task: Any, state: str | None, returned: Any) -> None:
    """
    End the run, or park it, and restore what was bound before.

    Args:
        task: The task, still in its request.

        state: What Celery says of the execution; None where its process, or its greenlet, is being ended.

        returned: The exception of one that has failed, or is to be tried again; else what the task has returned.
    """
    execution: Execution | None = vars(task.request).pop(_KEY, None)
    if execution is None:
        return
    try:
        _finish(execution, state, returned)
    finally:
        execution.place.__exit__()


def _start(execution: Execution, request: Any) -> None:
    client = execution.governed.client
    parked = execution.parked = parking.read(vars(request), request.id, execution.governed.sealing)
    if parked is not None and client.approval_status_sync(parked.approval_id) in (None, "pending"):
        execution.is_waiting = True
    elif parked is not None:
        # An attempt after this one is not to resume it again.
        (request.headers or {}).pop(parking.HEADER.name, None)
        # Never left as a block: the scope ends it, as it does every run.
        execution.run = client.resume_run(parked.token).__enter__()
    else:
        execution.run = client.start_run_sync(RunConfig(allocated_id(request) or uuid7()))
        current.push(execution.run)


def _finish(execution: Execution, state: str | None, returned: Any) -> None:
    cause = _cause(state, returned)
    if execution.run is not None and execution.waits_for(cause):
        execution.run.park_sync()
    status = _status(state, cause)
    if state is not None or execution.is_eager:
        execution.scope.close(status)
    elif execution.run is None or may_end(execution.run.run_id):
        execution.scope.close(status)
        # The process may not come to its own exit.
        drain()


def _cause(state: str | None, returned: Any) -> Any:
    """Return the exception of an execution, where it has one."""
    if state is None:
        # It is on its way, past Celery: the process or the greenlet is being ended, or an eager task's caller gets it.
        return sys.exc_info()[1]
    return returned.exc if state == "RETRY" else returned


def _status(state: str | None, cause: Any) -> RunEndStatus:
    if isinstance(cause, BaseException) and state in (None, "FAILURE", "RETRY"):
        return status_for(cause)
    return "interrupted" if state in (None, "RETRY", "REJECTED") else "success"


def _sources(task: Any, told: Lineage, governed: GovernedApp) -> Sources:
    tags = {**_tags(task), **told.tags}
    return Sources(
        actor=Loader(_actor_of(told, lambda: governed.client)),
        session=Loader(lambda: told.session_id),
        tags=lambda: tags,
        identity=lambda: identity_from(_identity_headers(task.request).get),
    )


def _actor_of(told: Lineage, client: Callable[[], HandlebarClient]) -> Callable[[], Actor | None]:
    if told is lineage.NONE:
        return lambda: client().config.actor or _SYSTEM
    return lambda: told.actor


def _tags(task: Any) -> dict[str, str]:
    """Return what finds an execution among those of its task, and among those of its workflow."""
    request = task.request
    redelivered = bool((request.delivery_info or {}).get("redelivered"))
    return {
        "celery.task_id": str(request.id),
        "celery.task": str(task.name),
        "celery.retries": str(request.retries),
        "celery.redelivered": str(redelivered).lower(),
        "celery.root_id": str(request.root_id or request.id),
    }


def _identity_headers(request: Any) -> dict[str, Any]:
    """Return the headers of an HTTP request that say the same: all attempts of a task are one request."""
    traceparent = vars(request).get("traceparent")
    return {"X-Request-Id": str(request.id), "traceparent": traceparent if isinstance(traceparent, str) else None}
