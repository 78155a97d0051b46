"""What the tests of every framework's adapter share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integrations.frameworks.asking import AskingPlane
from tests.integrations.frameworks.office import Office, answer
from tests.support.clients import client_on
from tests.support.planes import ScriptedPlane


@pytest.fixture(name="office")
def _office(monkeypatch: pytest.MonkeyPatch) -> Office:
    """One office, with a client of its own."""
    plane = ScriptedPlane(answer)
    return Office(plane, client_on(plane, monkeypatch))


@pytest.fixture(name="person")
def _person() -> Iterator[AskingPlane]:
    """Who answers the questions of `asking`."""
    plane = AskingPlane()
    yield plane
    plane.close()


@pytest.fixture(name="asking")
def _asking(person: AskingPlane, monkeypatch: pytest.MonkeyPatch) -> Office:
    """An office in which a person is asked about payments, on a real control plane."""
    return Office(person, client_on(person, monkeypatch))
