"""Databases in trouble: an error in time, the answer that the client was made for, and recovery by itself."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from handlebar._plumbing.clock import Deadline, monotonic
from handlebar.control import open_control_plane
from handlebar.core.client import HandlebarClient
from handlebar.core.config import HandlebarClientConfig
from handlebar.core.plane import StartRequest
from handlebar.core.schema.agents import AgentDescriptor
from handlebar.errors import UnreachableError
from tests.support import clients
from tests.support.control import PATIENT, ROOT, Desk, a_desk, a_limit, a_policy, a_rule, an_event, url_of

pytestmark = pytest.mark.sqlite

THREE = a_policy(a_rule(a_limit(3, per="agent")))
SHORT = 0.3
GENEROUS = 3.0
"""Longer than `SHORT` by all that a busy machine may need, shorter than the driver's own five seconds of patience."""


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    return tmp_path / "plane.db"


@pytest.fixture(name="desk")
def _desk(file: Path) -> Iterator[Desk]:
    """Give a desk that has made one decision."""
    with a_desk(file, THREE) as desk:
        assert desk.may()
        yield desk


def raw(file: Path, *statements: str) -> Any:
    """Open a connection that has run *statements*, and is closed by `closing`."""
    connection = sqlite3.connect(file, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    return closing(connection)


def fails_in_time(work: Callable[[], object]) -> str:
    """Do *work*, which has to fail as an unusable database does; return what was said."""
    begun = monotonic()
    with pytest.raises(UnreachableError) as caught:
        work()
    assert monotonic() - begun < GENEROUS
    assert "database" == caught.value.reason
    return str(caught.value)


QUESTIONS: dict[str, Callable[[Desk], object]] = {
    "decide": lambda desk: desk.asks(budget=SHORT),
    "record": lambda desk: desk.plane.record(desk.agent_id, "batch", [an_event("run", "x")], budget=SHORT),
    "start": lambda desk: desk.plane.start_run(StartRequest(run_id="r", agent_id=desk.agent_id), budget=SHORT),
    "end": lambda desk: desk.plane.end_run(desk.agent_id, "r", "success", budget=SHORT),
    "register": lambda desk: desk.plane.register_agent(AgentDescriptor("other"), [], budget=SHORT),
    "tools": lambda desk: desk.plane.register_tools(desk.agent_id, [], budget=SHORT),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_another_program_holds_the_lock(file: Path, desk: Desk, question: str) -> None:
    """While another connection writes, every question ends with its budget; then the same one is answered."""
    with raw(file, "BEGIN EXCLUSIVE"):
        assert "locked" in fails_in_time(lambda: QUESTIONS[question](desk))
    QUESTIONS[question](desk)


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


def test_a_lock_that_is_let_go_is_waited_for(file: Path, desk: Desk) -> None:
    """A lock that ends within the budget costs time and nothing else."""
    with raw(file, "BEGIN IMMEDIATE") as holder:
        answers: list[bool] = []
        asking = threading.Thread(target=lambda: answers.append(desk.may()))
        asking.start()
        asking.join(0.2)
        assert [] == answers
        holder.execute("COMMIT")
        asking.join()
    assert [True] == answers


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_a_file_that_is_locked_at_first_use(file: Path, mode: str) -> None:
    """A lock on a file of either journal mode that was never opened before is waited for within the budget."""
    plane = open_control_plane(url_of(file))
    with closing(plane):
        with raw(file, f"PRAGMA journal_mode={mode}", "CREATE TABLE theirs (a)", "BEGIN EXCLUSIVE"):
            fails_in_time(lambda: plane.register_agent(AgentDescriptor("desk"), [], budget=SHORT))
        assert plane.register_agent(AgentDescriptor("desk"), [], budget=PATIENT)


def test_a_program_that_lets_nobody_read(file: Path, desk: Desk) -> None:
    """A connection in exclusive mode, which keeps readers out too, is waited for within the budget."""
    desk.plane.close()
    with raw(file, "PRAGMA locking_mode=EXCLUSIVE", "BEGIN EXCLUSIVE", "CREATE TABLE theirs (a)"):
        assert "locked" in fails_in_time(lambda: desk.asks(budget=SHORT))
    assert desk.may()


def test_a_path_that_is_a_folder(file: Path) -> None:
    """A folder where the file should be is an unusable database, until it is gone."""
    file.mkdir()
    with closing(open_control_plane(url_of(file))) as plane:
        fails_in_time(lambda: plane.register_agent(AgentDescriptor("desk"), [], budget=SHORT))
        file.rmdir()
        assert plane.register_agent(AgentDescriptor("desk"), [], budget=PATIENT)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """A file in a folder that does not exist cannot be used until the folder does."""
    file = tmp_path / "missing" / "plane.db"
    with closing(open_control_plane(url_of(file))) as plane:
        fails_in_time(lambda: plane.register_agent(AgentDescriptor("desk"), [], budget=SHORT))
        file.parent.mkdir()
        assert plane.register_agent(AgentDescriptor("desk"), [], budget=PATIENT)


def test_a_file_that_cannot_be_written(file: Path, desk: Desk) -> None:
    """A file that may only be read gives the error at every decision that counts; made writable, it goes on."""
    if os.geteuid() == 0:
        pytest.skip("root may write what is read-only")
    desk.plane.close()
    for each in file.parent.glob("plane.db*"):
        each.chmod(0o400)
    fails_in_time(lambda: desk.asks(budget=SHORT))
    file.chmod(0o600)
    assert desk.may()


def test_a_full_database(file: Path, desk: Desk) -> None:
    """A database that may not grow gives the error and keeps no half of what failed; with room again it goes on."""
    large = [an_event("run", "x" * 100_000)]

    def limit(pages: int) -> None:
        with desk.plane._database.write(Deadline.after(PATIENT)) as connection:
            connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    limit(1)
    assert "full" in fails_in_time(lambda: desk.plane.record(desk.agent_id, "batch", large, budget=SHORT))
    assert [] == desk.plane.events("run")
    limit(1_000_000)
    desk.tells("batch", *large)
    assert 1 == len(desk.plane.events("run"))
    assert desk.plane.verify_chain(desk.agent_id, "run").intact


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from handlebar.errors import UnreachableError
from tests.support.control import a_desk, a_limit, a_policy, a_rule, an_event
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with a_desk(Path(sys.argv[1]), a_policy(a_rule(a_limit(3, per="agent")))) as desk:
    assert desk.may()
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    for attempt in range(3):
        try:
            desk.tells("batch", an_event("run", "x" * 300_000))
        except UnreachableError as error:
            assert error.reason == "database", error
        else:
            raise AssertionError("the disk was not full")
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert [True, True, False] == [desk.may() for _ in range(3)]
    desk.tells("batch", an_event("run", "x" * 300_000))
    assert 1 == len(desk.plane.events("run"))
"""


def test_a_full_disk(file: Path) -> None:
    """Where the operating system takes no more bytes, the error is ours; with room again the same plane goes on."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", FULL_DISK, str(file)], cwd=ROOT, capture_output=True)
    assert (0, b"") == (done.returncode, done.stderr)


def test_a_file_that_is_no_database(file: Path) -> None:
    """Garbage where the database should be gives the error each time, and is left as it is; once gone, all works."""
    garbage = b"this is no database, " * 500
    file.write_bytes(garbage)
    with closing(open_control_plane(url_of(file))) as plane:
        for _ in range(2):
            assert "not a database" in fails_in_time(
                lambda: plane.register_agent(AgentDescriptor("desk"), [], budget=SHORT)
            )
        assert garbage == file.read_bytes()
        file.unlink()
        assert plane.register_agent(AgentDescriptor("desk"), [], budget=PATIENT)


def test_a_file_that_was_damaged(file: Path) -> None:
    """Pages that were overwritten give the error; with the good file put back, the same plane goes on."""
    with a_desk(file, THREE) as desk:
        assert desk.may()
        desk.plane.close()
        copy = shutil.copy(file, file.with_suffix(".copy"))
        with file.open("r+b") as damaged:
            damaged.seek(4096)
            damaged.write(os.urandom(4096) * (file.stat().st_size // 4096 - 1))
        fails_in_time(lambda: desk.asks(budget=SHORT))
        desk.plane.close()
        os.replace(copy, file)
        assert [True, True, False] == [desk.may() for _ in range(3)]


def test_a_file_that_was_deleted(file: Path) -> None:
    """Two planes whose file is deleted under them never allow more than the limit on two files side by side."""
    with a_desk(file, THREE) as desk, a_desk(file, THREE) as other:
        assert desk.may()
        for each in file.parent.glob("plane.db*"):
            each.unlink()
        answers = []
        for each in (desk, other) * 3:
            with suppress(UnreachableError):
                answers.append(each.may(budget=SHORT))
        with a_desk(file, THREE) as fresh:
            answers += [fresh.may() for _ in range(3)]
    assert sum(answers) <= 3


BROKEN_POLICY = 'UPDATE policy_versions SET content = \'{"name": "from a later version", "unknown": 1}\''


def test_a_policy_that_cannot_be_read(file: Path, desk: Desk) -> None:
    """A policy in the database that this version cannot read is an error of the control plane, at every decision."""
    with raw(
        file, BROKEN_POLICY, "INSERT INTO policy_versions SELECT 99, tenant, 'p', 's', content, 0 FROM policy_versions"
    ):
        for _ in range(2):
            fails_in_time(lambda: desk.asks(budget=SHORT))


def a_client(file: Path, *, fail_closed: bool) -> HandlebarClient:
    """Return a client that keeps its policies in *file*."""
    config = HandlebarClientConfig(
        agent="desk", api_endpoint=url_of(file), policies=[THREE], fail_closed=fail_closed, decision_timeout=SHORT
    )
    client = HandlebarClient.init_sync(config)
    clients.made.append(client)
    return client


@pytest.mark.parametrize("fail_closed", [False, True])
def test_a_client_gives_the_answer_it_was_made_for(file: Path, fail_closed: bool) -> None:
    """While the database cannot be used the client fails open, or closed, and raises nothing; then rules hold again."""
    client = a_client(file, fail_closed=fail_closed)
    with client.run() as run:
        assert run.before_tool_sync("refund", {}).allowed
    with client.run() as run, raw(file, "BEGIN EXCLUSIVE"):
        troubled = run.before_tool_sync("refund", {})
    with client.run() as run:
        recovered = [run.before_tool_sync("refund", {}).allowed for _ in range(3)]
    assert (not fail_closed) == troubled.allowed
    assert "unavailable" in troubled.message
    assert [True, True, False] == recovered


@pytest.mark.parametrize("fail_closed", [False, True])
def test_a_client_whose_database_is_none(file: Path, fail_closed: bool) -> None:
    """A client on a file that is no database runs from start to end without an exception."""
    file.write_bytes(b"no database" * 100)
    client = a_client(file, fail_closed=fail_closed)
    with client.run(actor="ann") as run:
        assert (not fail_closed) == run.before_tool_sync("refund", {}).allowed
    client.shutdown_sync()


@pytest.mark.parametrize("actor", ["\ud800", "a\0b", "x" * 100_000])
def test_a_client_takes_any_actor(file: Path, actor: str) -> None:
    """An actor's id of any text reaches the rules: nobody gets past them by a name that the database cannot hold."""
    client = a_client(file, fail_closed=False)
    with client.run(actor=actor) as run:
        assert [True, True, True, False] == [run.before_tool_sync("refund", {}).allowed for _ in range(4)]


def test_reading_waits_for_nobody_who_writes(file: Path, desk: Desk) -> None:
    """A plane that is opened while another's transaction lasts reads what was there before."""
    with desk.plane._database.write(Deadline.after(PATIENT)):
        reader = open_control_plane(url_of(file))
        with closing(reader):
            assert [] == reader.runs()
