"""What the tests of the control plane share: they run on each kind of database."""

from __future__ import annotations

from tests.support.both_databases import (
    _database_kind,
    _no_databases_left,
    _postgres_port,
    pytest_collection_modifyitems,
    pytest_generate_tests,
)

__all__ = [
    "_database_kind",
    "_no_databases_left",
    "_postgres_port",
    "pytest_collection_modifyitems",
    "pytest_generate_tests",
]
