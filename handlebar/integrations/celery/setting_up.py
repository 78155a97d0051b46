"""Connecting to Celery's signals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery import Celery, signals

from handlebar.core.client import HandlebarClient
from handlebar.errors import ConfigError
from handlebar.integrations.celery import executing, leaving, publishing
from handlebar.integrations.celery.apps import GovernedApp, govern, governed_app
from handlebar.integrations.celery.options import options_of
from handlebar.integrations.celery.sealing import KeyedSealing, NoSealing
from handlebar.integrations.serving import clients

_LEAST_KEY = 16


def setup(
    app: Celery | None = None,
    client: HandlebarClient | Callable[[], HandlebarClient] | None = None,
    *,
    signing_key: str | None = None,
) -> None:
    """
    Govern the tasks of *app*, wherever it is imported: where they are published, and where they run.

    Starts no thread and opens no socket. May be called again, for the same app or for others.

    Args:
        app: The app; None for every app that has nothing of its own.

        client: Its client, or a function that finds it when it is needed, such as `get_client` of the Django
            integration; the process's default one where it is None.

        signing_key: A secret that publishers and workers share; headers that are not sealed with it are not believed.

    Raises:
        ConfigError: *signing_key* is too short to be one.
    """
    if signing_key is not None and len(signing_key) < _LEAST_KEY:
        raise ConfigError("signing_key", "(hidden)", f"a secret of {_LEAST_KEY} characters or more")
    sealing = NoSealing() if signing_key is None else KeyedSealing(signing_key.encode())
    govern(app, GovernedApp(_finder(client), sealing))
    publishing.connect()
    for signal, receiver in _RECEIVERS.items():
        signal.connect(receiver, weak=False, dispatch_uid="handlebar")


def _finder(client: HandlebarClient | Callable[[], HandlebarClient] | None) -> Callable[[], HandlebarClient] | None:
    if not isinstance(client, HandlebarClient):
        return client
    found = clients.remember(client)
    return lambda: found


def _before(task: Any, **more: Any) -> None:
    governed, options = governed_app(task.app), options_of(task)
    if governed is not None and options.is_governed:
        executing.begin(task, governed, options)


def _after(task: Any, state: Any = None, retval: Any = None, **more: Any) -> None:
    executing.finish(task, state, retval)


def _worker_starts(instance: Any, **more: Any) -> None:
    from handlebar.integrations.celery.lost_children import watch  # only a worker has a pool

    watch(instance)


def _leaves(**more: Any) -> None:
    leaving.drain()


_RECEIVERS = {
    signals.task_prerun: _before,
    signals.task_postrun: _after,
    signals.celeryd_after_setup: _worker_starts,
    signals.worker_process_shutdown: _leaves,
    signals.worker_shutdown: _leaves,
}
