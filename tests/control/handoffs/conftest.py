"""What the tests of hand-offs share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.handoffs import Office, Somebody, an_office


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """The API on a new database."""
    with an_office(tmp_path / "plane.db") as made:
        yield made


@pytest.fixture
def agent(office: Office) -> Somebody:
    """Somebody with an SDK's key."""
    return office.somebody("agent")
