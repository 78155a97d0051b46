"""What the tests of every framework's adapter share."""

from __future__ import annotations

import pytest

from tests.integrations.frameworks.office import Office, answer
from tests.support.clients import client_on
from tests.support.planes import ScriptedPlane


@pytest.fixture(name="office")
def _office(monkeypatch: pytest.MonkeyPatch) -> Office:
    """One office, with a client of its own."""
    plane = ScriptedPlane(answer)
    return Office(plane, client_on(plane, monkeypatch))
