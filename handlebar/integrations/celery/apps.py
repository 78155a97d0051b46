"""Which Celery apps are governed, and by which client."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from attrs import frozen
from celery import Celery, current_app

from handlebar.core.client import HandlebarClient
from handlebar.core.front import get_client
from handlebar.integrations.celery.sealing import NoSealing, Sealing


@frozen
class GovernedApp:
    """
    What belongs to one app.

    Attributes:
        find_client: Finds its client; None for the process's default one.

        sealing: Whether the headers of its tasks are believed.
    """

    find_client: Callable[[], HandlebarClient] | None
    sealing: Sealing

    @property
    def own_client(self) -> HandlebarClient | None:
        """Its client; None for the process's default one."""
        return None if self.find_client is None else self.find_client()

    @property
    def client(self) -> HandlebarClient:
        """
        The client.

        Raises:
            NotInitialisedError: `handlebar.init()` has not been called.
        """
        return self.own_client or get_client()


_FRESH_CHILD = "FORKED_BY_MULTIPROCESSING"
"""Celery's own note, in a child that it has spawned."""

_apps: dict[Celery | None, GovernedApp] = {}


def govern(app: Celery | None, governed: GovernedApp) -> None:
    """Let *governed* govern *app*; None for every app that has nothing of its own."""
    _apps[app] = governed


def governed_app(app: Celery) -> GovernedApp | None:
    """Return what governs *app*."""
    return _apps.get(app) or _of_original(app) or _apps.get(None)


def publishing() -> Sealing:
    """Return how headers are sealed that are published here; Celery does not say by which app."""
    here: Any = governed_app(current_app._get_current_object())
    anywhere = next(iter(_apps.values()), None)
    found: GovernedApp | None = here or anywhere
    return NoSealing() if found is None else found.sealing


def _of_original(copy: Celery) -> GovernedApp | None:
    """Return what governs the app of the same name: a child that was not forked has copies of its apps."""
    if _FRESH_CHILD not in os.environ:
        return None
    return next((governed for app, governed in _apps.items() if app is not None and app.main == copy.main), None)
