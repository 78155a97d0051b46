"""
What the tests of the Django integration share.

Django is imported by who needs it: where it is missing, each module of tests is skipped, with its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from handlebar.core import current
from tests.support.django_settings import the_project_is_set_up
from tests.support.http_server import HttpServer

Configure = Callable[..., AbstractContextManager[None]]


@pytest.fixture(scope="session", autouse=True)
def _django() -> None:
    the_project_is_set_up()


@pytest.fixture(scope="session", name="database")
def _database() -> None:
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


@pytest.fixture(name="ann")
def _ann(database: None) -> Iterator[Any]:
    from django.contrib.auth import get_user_model

    user = get_user_model().objects.create_user("ann")
    yield user
    user.delete()


@pytest.fixture(name="server")
def _server() -> Iterator[HttpServer]:
    with HttpServer() as server:
        yield server


@pytest.fixture(name="configured")
def _configured(server: HttpServer) -> Configure:
    """Return what sets HANDLEBAR for a block, with *server* as the control plane."""
    from django.test.utils import override_settings

    from tests.integrations.django.project import views

    @contextmanager
    def configured(**more: Any) -> Iterator[None]:
        views.seen.clear()
        setting = {"AGENT": "desk", "API_KEY": "the-key", "ENDPOINT": server.url, **more}
        with override_settings(HANDLEBAR=setting):
            yield

    return configured


@pytest.fixture(name="governed")
def _governed(configured: Configure) -> Iterator[None]:
    with configured():
        yield


@pytest.fixture(name="browser")
def _browser() -> Any:
    from django.test import Client

    return Client(raise_request_exception=False)


@pytest.fixture(name="async_browser")
def _async_browser() -> Any:
    from django.test import AsyncClient

    return AsyncClient(raise_request_exception=False)


@pytest.fixture(autouse=True)
def _nothing_stays_bound() -> Iterator[None]:
    """After each test nothing is current: no request, and no run."""
    yield
    assert current.OUTSIDE is current.get_current_scope()
    assert current.get_current_run() is None
