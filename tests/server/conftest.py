"""What the server's tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.both_databases import (
    _database_kind,
    _no_databases_left,
    _postgres_port,
    pytest_collection_modifyitems,
    pytest_generate_tests,
)
from tests.support.servers import Caller, Place, a_place

__all__ = [
    "_database_kind",
    "_no_databases_left",
    "_postgres_port",
    "pytest_collection_modifyitems",
    "pytest_generate_tests",
]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """An app in this process, without policies."""
    with a_place(tmp_path / "plane.db") as made:
        yield made


@pytest.fixture
def admin(place: Place) -> Caller:
    """Somebody who may do everything."""
    return place.caller()
