"""Runs of pool processes that were killed: the main process ends them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from importlib import import_module
from typing import Any

from celery.concurrency.prefork import TaskPool
from celery.exceptions import Terminated, TimeLimitExceeded, WorkerLostError
from celery.utils.imports import symbol_by_name
from celery.worker.request import Request

from handlebar._plumbing import logs
from handlebar._plumbing.daemon_threads import DaemonThreads
from handlebar._plumbing.identifiers import uuid7
from handlebar._plumbing.time_limits import told
from handlebar.core.client import HandlebarClient
from handlebar.core.config import RunConfig
from handlebar.core.current import Place
from handlebar.core.plane import RunEndStatus
from handlebar.core.request_scope import RequestScope, Sources
from handlebar.core.resuming import config_from, token_for
from handlebar.errors import HandlebarError
from handlebar.integrations.celery import lineage, parking
from handlebar.integrations.celery.apps import GovernedApp, governed_app
from handlebar.integrations.celery.claims import RUN_ID, make_room, may_end
from handlebar.integrations.celery.options import options_of

_LOST = (WorkerLostError, TimeLimitExceeded, Terminated, SystemExit, KeyboardInterrupt)
_THREADS = DaemonThreads("celery", most=4)


def watch(worker: Any) -> None:
    """Watch over the children of *worker*, where it has any, and where this Celery lets us."""
    if not issubclass(worker.pool_cls, TaskPool) or not hasattr(Request, "request_dict"):
        return
    # What the thread that ends runs will need: a fork in the middle of an import would be its child's deadlock.
    import_module("handlebar._plumbing.converters")
    make_room()
    for task in worker.app.tasks.values():
        if options_of(task).opens_run and governed_app(task.app) is not None:
            task.Request = _watching(symbol_by_name(task.Request))


def _watching(kind: type[Request]) -> type[Request]:
    """Return *kind*, the request of a task in the main process, with an eye on its child."""
    return type(f"Watched{kind.__name__}", (_Watched, kind), {})


class _Watched:
    """What is added to a task's request in the main process."""

    id: str
    task: Any
    request_dict: dict[str, Any]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.request_dict[RUN_ID] = uuid7()

    def on_failure(self, exc_info: Any, *arguments: Any, **options: Any) -> Any:
        """Do what Celery does, and end the run where its process is gone, or about to go."""
        try:
            return super().on_failure(exc_info, *arguments, **options)  # type: ignore[misc]  # Celery's request has it
        finally:
            error = getattr(exc_info.exception, "exc", exc_info.exception)
            if isinstance(error, _LOST):
                _lose(self, "timeout" if isinstance(error, TimeLimitExceeded) else "interrupted")


def _lose(request: _Watched, status: RunEndStatus) -> None:
    governed = governed_app(request.task.app)
    if governed is None:
        return
    try:
        client, config = governed.client, _config_of(request.id, request.request_dict, governed)
    except HandlebarError:  # then the child could not start a run either
        return
    # On a thread: the main process must not wait for a control plane.
    if may_end(config.run_id) and _THREADS.submit(partial(_end, client, config, status)) is None:
        logs.warn_once_a_minute("celery:lost", "The run of a process that was killed could not be ended")


def _config_of(task_id: str, headers: Mapping[str, Any], governed: GovernedApp) -> RunConfig:
    """Return the run that the child had."""
    parked = parking.read(headers, task_id, governed.sealing)
    if parked is not None:
        return config_from(parked.token)
    told = lineage.read(headers, task_id, governed.sealing) or lineage.NONE
    return RunConfig(headers[RUN_ID], session_id=told.session_id, actor=told.actor, tags=told.tags)


def _end(client: HandlebarClient, config: RunConfig, status: RunEndStatus) -> None:
    try:
        with Place(RequestScope(Sources())), client.resume_run(token_for(config)) as run:
            run.end_sync(status)
    except Exception as error:  # nobody waits for what comes of it
        logs.warn_once_a_minute(
            "celery:lost", "The run of a process that was killed could not be ended: %s", told(error)
        )
