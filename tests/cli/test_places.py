"""Which database a command works on, and what happens where that cannot be used."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from handlebar.cli import db
from handlebar.cli.application import application
from handlebar.control import administration, keys
from tests.cli.terminal import Said, Terminal
from tests.support.control import url_of

EVERY_COMMAND = [
    ["keys", "list"],
    ["keys", "revoke", "x"],
    ["runs", "list"],
    ["runs", "show", "x"],
    ["approvals", "list"],
    ["approvals", "show", "x"],
    ["approvals", "approve", "x", "--by", "ann"],
    ["approvals", "deny", "x", "--by", "ann"],
    ["lockdown", "set", "x", "--reason", "x"],
    ["lockdown", "lift", "x"],
    ["lockdown", "list"],
    ["policy", "list"],
    ["audit", "verify"],
    ["audit", "export", "--format", "csv"],
    ["db", "version"],
]
CREATING = [["keys", "create", "x", "--role", "agent"], ["db", "upgrade"]]


def said(*arguments: str) -> Said:
    """Run a command that is not told which database is meant."""
    result = CliRunner().invoke(application, arguments)
    return Said(result.exit_code, result.stdout, result.stderr)


@pytest.mark.parametrize("arguments", EVERY_COMMAND, ids=" ".join)
def test_a_file_that_is_not_there(tmp_path: Path, arguments: list[str]) -> None:
    """A command that creates nothing says that there is no database, exits with 3, and makes none."""
    terminal = Terminal(tmp_path / "missing.db")
    answer = terminal.says(*arguments)
    assert (3, "") == (answer.code, answer.out)
    assert answer.err.startswith("Error: There is no database at sqlite:///")
    assert [] == os.listdir(tmp_path)


@pytest.mark.parametrize("arguments", [*EVERY_COMMAND, *CREATING], ids=" ".join)
def test_a_file_that_is_no_database(tmp_path: Path, arguments: list[str]) -> None:
    """A file of another kind is left alone, and answered with 3 and one line."""
    terminal = Terminal(tmp_path / "text.db")
    terminal.file.write_text("This is text, and longer than the head of a database. " * 50)
    before = terminal.file.read_bytes()
    answer = terminal.says(*arguments)
    assert (3, "", 1) == (answer.code, answer.out, len(answer.err.splitlines()))
    assert before == terminal.file.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["keys", "create", "ci", "--role", "agent"], 3),
        (["runs", "list"], 0),
        (["audit", "verify"], 0),
        (["keys", "list"], 0),
        (["db", "upgrade"], 0),
    ],
    ids=lambda each: each if isinstance(each, int) else " ".join(each),
)
def test_a_database_that_is_locked(
    terminal: Terminal, arguments: list[str], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another process writes, writing is answered with 3, when the time is up; reading waits for nobody."""
    for module in (administration, keys, db):
        monkeypatch.setattr(module, "_SECONDS", 0.2)
    with closing(sqlite3.connect(terminal.file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = terminal.says(*arguments)
    assert code == answer.code
    if code:
        assert ("", 1) == (answer.out, len(answer.err.splitlines()))
    assert 0 == terminal.says(*arguments).code


@pytest.mark.parametrize("url", ["nonsense", "postgres://me:secret@host/x", "sqlite://host/x", "sqlite://"])
def test_a_url_that_is_none(url: str) -> None:
    """A URL that means no file is wrong usage, and its password is not repeated."""
    answer = said("runs", "list", "--database", url)
    assert (2, "") == (answer.code, answer.out)
    assert "--database" in answer.err
    assert "secret" not in answer.err


def test_a_url_that_cannot_be_served() -> None:
    """`serve` takes no other URLs, and does not repeat their passwords either."""
    answer = said("serve", "--database", "postgres://me:secret@host/x")
    assert (2, False) == (answer.code, "secret" in answer.err)


def test_which_database_is_meant(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is that of --database, else of HANDLEBAR_DATABASE, else of the endpoint, else handlebar.db here."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(file, "handlebar.db")
    missing = url_of(tmp_path / "missing.db")
    assert 0 == said("runs", "list").code
    monkeypatch.setenv("HANDLEBAR_API_ENDPOINT", "https://plane.example")
    assert 0 == said("runs", "list").code
    monkeypatch.setenv("HANDLEBAR_API_ENDPOINT", missing)
    assert 3 == said("runs", "list").code
    monkeypatch.setenv("HANDLEBAR_DATABASE", url_of(file))
    assert 0 == said("runs", "list").code
    assert 3 == said("runs", "list", "--database", missing).code


def test_the_tables_version(empty: Terminal) -> None:
    """`db version` tells the version, and with 1 where the tables are not up to date; it changes nothing."""
    answer = empty.says("db", "version")
    assert (0, "The tables are at version 0001, which is the newest.\n") == (answer.code, answer.out)
    assert {"version": "0001", "newest": "0001", "current": True} == empty.document("db", "version")
    with closing(sqlite3.connect(empty.file)) as connection, connection:
        connection.execute("DROP TABLE alembic_version")
    for _ in range(2):
        answer = empty.says("db", "version")
        assert (1, True) == (answer.code, "run `handlebar db upgrade`" in answer.out)


def test_tables_are_made(tmp_path: Path) -> None:
    """`db upgrade` makes the database where there is none, and is good for nothing more when it is up to date."""
    terminal = Terminal(tmp_path / "new.db")
    for _ in range(2):
        assert {"version": "0001", "newest": "0001", "current": True} == terminal.document("db", "upgrade")


def test_tables_of_a_newer_package(empty: Terminal) -> None:
    """Tables that a newer package has made are left alone: 1 to ask for their version, 3 to work with them."""
    with closing(sqlite3.connect(empty.file)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    answer = empty.says("db", "version")
    assert (1, True) == (answer.code, "use a newer package" in answer.out)
    for arguments in (["db", "upgrade"], ["runs", "list"]):
        answer = empty.says(*arguments)
        assert (3, "", 1) == (answer.code, answer.out, len(answer.err.splitlines()))
    assert "9999" == empty.says("db", "version", "--json").document["version"]
