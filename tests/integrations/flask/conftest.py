"""What the tests of the Flask integration share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from handlebar.core import current
from handlebar.integrations.flask import Handlebar
from tests.support.clients import client_on
from tests.support.planes import ScriptedPlane


@pytest.fixture(name="plane")
def _plane() -> ScriptedPlane:
    return ScriptedPlane()


@pytest.fixture(name="app")
def _app() -> Flask:
    return Flask("shop")


@pytest.fixture(name="hb")
def _hb(app: Flask, plane: ScriptedPlane, monkeypatch: pytest.MonkeyPatch) -> Handlebar:
    return Handlebar(app, client=client_on(plane, monkeypatch))


@pytest.fixture(autouse=True)
def _nothing_stays_bound() -> Iterator[None]:
    """After each test nothing is current: no request, and no run."""
    yield
    assert current.OUTSIDE is current.get_current_scope()
    assert current.get_current_run() is None
