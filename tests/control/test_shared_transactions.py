"""Group commit: everybody's work in few transactions, and each answered as if he had been alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from handlebar._plumbing.clock import Deadline, monotonic
from handlebar.control.database import Database
from handlebar.control.database.sharing import SharedTransactions
from handlebar.errors import UnreachableError
from tests.support.control import PATIENT
from tests.support.waiting import eventually

pytestmark = pytest.mark.sqlite

MANY = 8


class Office:
    """A SQLite file with a table of notes, and those who want to write some."""

    def __init__(self, file: Path, pool: ThreadPoolExecutor) -> None:
        self.database = Database(f"sqlite:///{file}")
        self.transactions = 0
        self.shared = SharedTransactions(self._write)
        self._pool = pool
        with self.database.write(Deadline.after(PATIENT)) as connection:
            connection.exec_driver_sql("CREATE TABLE kinds (name TEXT PRIMARY KEY)")
            connection.exec_driver_sql(
                "CREATE TABLE notes (note TEXT, kind TEXT REFERENCES kinds DEFERRABLE INITIALLY DEFERRED)"
            )

    @property
    def notes(self) -> list[str]:
        """What is stored."""
        with self.database.read(Deadline.after(PATIENT)) as connection:
            return sorted(connection.exec_driver_sql("SELECT note FROM notes").scalars())

    def ask(self, do: Callable[[Connection], Any], seconds: float = PATIENT) -> Future[Any]:
        """Let a thread want something done; it waits, or leads."""
        return self._pool.submit(lambda: self.shared.run(do, Deadline.after(seconds)))

    @contextmanager
    def crowd(self, *wanted: Callable[[Connection], Any]) -> Iterator[list[Future[Any]]]:
        """Let the first of those do his work only when all of them are there; he leads."""
        with self.database.write(Deadline.after(PATIENT)):
            asked = [self.ask(wanted[0])]
            assert eventually(lambda: self.shared._leading is not None)
            asked += [self.ask(each) for each in wanted[1:]]
            assert eventually(lambda: len(self.shared._waiting) == len(wanted))
        yield asked

    def _write(self, deadline: Deadline) -> Any:
        self.transactions += 1
        return self.database.write(deadline)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """An office, closed at the end."""
    with ThreadPoolExecutor(MANY) as pool:
        made = Office(tmp_path / "notes.db", pool)
        with closing(made.database):
            yield made


def writes(note: str, kind: str | None = None) -> Callable[[Connection], str]:
    """Return what writes a *note*, and returns it."""

    def do(connection: Connection) -> str:
        connection.exec_driver_sql("INSERT INTO notes VALUES (?, ?)", (note, kind))
        return note

    return do


def fails_after(note: str, error: BaseException) -> Callable[[Connection], str]:
    """Return what writes a *note*, and then raises."""

    def do(connection: Connection) -> str:
        writes(note)(connection)
        raise error

    return do


def test_who_waits_shares_a_transaction(office: Office) -> None:
    """Eight who have to wait are served in one transaction, and each gets his own answer."""
    with office.crowd(*(writes(str(number)) for number in range(MANY))) as asked:
        assert [str(number) for number in range(MANY)] == [each.result(PATIENT) for each in asked]
    assert (1, MANY) == (office.transactions, len(office.notes))


def test_one_after_the_other(office: Office) -> None:
    """Who is alone has a transaction to himself."""
    assert ["a", "b"] == [office.ask(writes(note)).result(PATIENT) for note in "ab"]
    assert (2, ["a", "b"]) == (office.transactions, office.notes)


def test_a_failure_is_nobody_elses(office: Office) -> None:
    """What one has written before his failure is undone, and he is told; the others' stays."""
    wanted = (writes("a"), fails_after("b", ValueError("mine")), writes("c"))
    with office.crowd(*wanted) as (first, second, third):
        assert ("a", "c") == (first.result(PATIENT), third.result(PATIENT))
        with pytest.raises(ValueError, match="mine"):
            second.result(PATIENT)
    assert (1, ["a", "c"]) == (office.transactions, office.notes)


def test_a_failure_of_the_database(office: Office) -> None:
    """What the database refuses is told as its failure; who needed nothing of the kind is not concerned."""
    wrong = partial(Connection.exec_driver_sql, statement="INSERT INTO unknown VALUES (1)")
    with office.crowd(writes("a"), wrong, writes("c")) as (first, second, third):
        assert ("a", "c") == (first.result(PATIENT), third.result(PATIENT))
        with pytest.raises(UnreachableError, match="no such table"):
            second.result(PATIENT)
    assert ["a", "c"] == office.notes


def test_a_failure_of_one_who_is_alone(office: Office) -> None:
    """Undoes what he has written, and is told as it is; what the database refuses, as its failure."""
    with pytest.raises(ValueError, match="mine"):
        office.ask(fails_after("a", ValueError("mine"))).result(PATIENT)
    with pytest.raises(UnreachableError, match="no such table"):
        office.ask(_writes_and_is_refused).result(PATIENT)
    assert "c" == office.ask(writes("c")).result(PATIENT)
    assert (3, ["c"]) == (office.transactions, office.notes)


def _writes_and_is_refused(connection: Connection) -> None:
    writes("b")(connection)
    connection.exec_driver_sql("INSERT INTO unknown VALUES (1)")


def test_a_full_database(office: Office) -> None:
    """Where the database undoes everything, everybody is told why, and nothing is stored."""
    with office.database.write(Deadline.after(PATIENT)) as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=1")
    with office.crowd(writes("a"), writes("b" * 1_000_000), writes("c")) as asked:
        for each in asked:
            with pytest.raises(UnreachableError, match="full"):
                each.result(PATIENT)
    with office.database.write(Deadline.after(PATIENT)) as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=1000000")
    assert "d" == office.ask(writes("d")).result(PATIENT)
    assert ["d"] == office.notes


def test_what_cannot_be_committed_is_nobodys(office: Office) -> None:
    """Where the commit fails, everybody is told so, and nothing is stored."""
    with office.database.write(Deadline.after(PATIENT)) as connection:
        driver: Any = connection.connection.driver_connection
    driver.execute("PRAGMA foreign_keys=ON")
    with office.crowd(writes("a"), writes("b", kind="unknown"), writes("c")) as asked:
        for each in asked:
            with pytest.raises(UnreachableError, match="FOREIGN KEY"):
                each.result(PATIENT)
    assert [] == office.notes
    assert "d" == office.ask(writes("d")).result(PATIENT)


def test_an_interrupted_leader(office: Office) -> None:
    """Whoever leads may be interrupted: the others are told so, nothing is stored, and the next ones go on."""
    with office.crowd(fails_after("a", KeyboardInterrupt()), writes("b")) as (first, second):
        with pytest.raises(UnreachableError, match="interrupted"):
            second.result(PATIENT)
        with pytest.raises(KeyboardInterrupt):
            first.result(PATIENT)
    assert "c" == office.ask(writes("c")).result(PATIENT)
    assert ["c"] == office.notes


def test_deadlines(office: Office) -> None:
    """Whoever's deadline passes is told in time, and nothing of his is done; the next one leads instead."""
    with office.database.write(Deadline.after(PATIENT)):
        leads = office.ask(writes("a"), 0.2)
        assert eventually(lambda: office.shared._leading is not None)
        waits, patient = office.ask(writes("b"), 0.2), office.ask(writes("c"))
        began = monotonic()
        for each in (leads, waits):
            with pytest.raises(UnreachableError, match="busy"):
                each.result(PATIENT)
        assert monotonic() - began < PATIENT
    assert "c" == patient.result(PATIENT)
    assert ["c"] == office.notes


def test_many_at_once(office: Office) -> None:
    """With eight threads that write two hundred notes, each is stored once, and none is told otherwise."""
    asked = [office.ask(writes(f"{number:03}")) for number in range(200)]
    assert [f"{number:03}" for number in range(200)] == [each.result(PATIENT) for each in asked] == office.notes
