"""What the server's tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.both_databases import (
    KINDS,
    _database_kind,
    _no_databases_left,
    _postgres_port,
    pytest_collection_modifyitems,
)
from tests.support.servers import Caller, Place, a_place

__all__ = [
    "_database_kind",
    "_no_databases_left",
    "_postgres_port",
    "pytest_collection_modifyitems",
]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run on PostgreSQL what is marked so: the server is a skin, and the tests of the control plane run on both."""
    marked = [kind for kind in ("sqlite", "postgresql") if metafunc.definition.get_closest_marker(kind)]
    if "postgresql" in marked:
        kinds = [kind for kind in KINDS if kind in marked] or marked
        metafunc.parametrize("database_kind", kinds, indirect=True, scope="module")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """An app in this process, without policies."""
    with a_place(tmp_path / "plane.db") as made:
        yield made


@pytest.fixture
def admin(place: Place) -> Caller:
    """Somebody who may do everything."""
    return place.caller()
