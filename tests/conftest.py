"""What every test shares."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from handlebar._plumbing import logs
from handlebar.core import front
from tests.support import clients, tracing

# How long an example takes says only how busy the machine is; in CI the examples are the same each time.
settings.register_profile(
    "suite", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.load_profile("suite")

# Celery sets up whatever project the shell names; the tests name their own.
os.environ.pop("DJANGO_SETTINGS_MODULE", None)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees a key or an endpoint of the machine that it runs on."""
    for name in ("HANDLEBAR_API_KEY", "HANDLEBAR_API_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(name="untraced")
def _untraced() -> Iterator[None]:
    """For tests whose signal handlers run, or raise, at any moment."""
    with tracing.untraced():
        yield


@pytest.fixture(autouse=True)
def _nothing_left_over() -> Iterator[None]:
    """No test leaves clients at work, or its warnings' quiet minute, to the next."""
    yield
    while clients.made:
        clients.made.pop().shutdown_sync()
    while front._default:
        front._default.pop().shutdown_sync()
    logs._gates.forget()
