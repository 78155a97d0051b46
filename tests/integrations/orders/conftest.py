"""What the tests of the shop share: PostgreSQL, Valkey, a control plane over HTTP, and the shop on them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import frozen

from tests.support.both_databases import _postgres_port, pytest_collection_modifyitems
from tests.support.celery_workers import valkey
from tests.support.control import ROOT
from tests.support.http_server import HttpServer

__all__ = ["_postgres_port", "pytest_collection_modifyitems"]

_COMMANDS = """
import io, os, threading
from django.core.management import execute_from_command_line
for command in (["check"], ["migrate", "--verbosity=0"]):
    execute_from_command_line(["manage.py", *command])
    print(len(os.listdir("/proc/self/task")), [each.name for each in threading.enumerate()])
"""


@frozen
class Shop:
    """Where everything of the shop is."""

    plane: HttpServer
    broker: str
    port: int
    database: str
    folder: Path

    def environment(self, control_plane: str | None = None) -> dict[str, str]:
        """Return what the shop's processes find in their environment."""
        return {
            "DJANGO_SETTINGS_MODULE": "tests.integrations.orders.settings",
            "ORDERS_BROKER": self.broker,
            "ORDERS_CONTROL_PLANE": control_plane or self.plane.url,
            "ORDERS_DATABASE": self.database,
            "ORDERS_POSTGRES_PORT": str(self.port),
        }

    def manage(self, control_plane: str | None = None) -> list[str]:
        """Run `check` and `migrate` in a process; return what they say, each with its threads at the end."""
        settings = {**os.environ, "PYTHONPATH": str(ROOT), **self.environment(control_plane)}
        command = [sys.executable, "-W", "error", "-c", _COMMANDS]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT, env=settings)
        assert "" == done.stderr
        return done.stdout.splitlines()

    def settled(self) -> dict[str, tuple[str, list[str]]]:
        """Return by order the run that has settled it, and what that was told of where it comes from."""
        from tests.support import postgres  # needs what may be missing

        with postgres.connected(self.port, self.database) as connection:
            rows = connection.execute("SELECT username, first_name, last_name FROM auth_user").fetchall()
        return {order: (run, lineage.split()) for order, run, lineage in rows if run}


@pytest.fixture(name="shop")
def _shop(postgres_port: int, tmp_path: Path) -> Iterator[Shop]:
    from tests.support import postgres  # needs what may be missing

    with (
        postgres.a_database(postgres_port, tmp_path) as database,
        valkey() as broker,
        HttpServer() as plane,
    ):
        yield Shop(plane, broker, postgres_port, database, tmp_path)
