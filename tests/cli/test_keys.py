"""Commands about API keys."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from handlebar.cli.application import application
from handlebar.control.database import Database
from handlebar.control.keys import KeyRecord, KeyRing
from tests.cli.terminal import Terminal
from tests.support.control import url_of


def found(file: Path, secret: str) -> KeyRecord | None:
    """Return the key that *secret* is."""
    with closing(Database(url_of(file))) as database:
        return KeyRing(database).find(secret)


def test_a_key_is_printed_alone(tmp_path: Path) -> None:
    """`keys create` prints the key and nothing else on stdout, and makes the database where there is none."""
    terminal = Terminal(tmp_path / "new.db")
    said = terminal.says("keys", "create", "the worker", "--role", "agent")
    (secret,) = said.lines
    key = found(terminal.file, secret)
    assert key is not None
    assert ("the worker", "agent", "default", 0) == (key.name, key.role, key.tenant, said.code)
    assert key.id in said.err


def test_a_key_as_json(empty: Terminal) -> None:
    """With --json there is one document, which holds the record and the key."""
    made = empty.document("keys", "create", "boss", "--role", "admin", "--tenant", "north")
    key = found(empty.file, made["secret"])
    assert key is not None
    assert (key.id, "north", "admin") == (made["id"], made["tenant"], made["role"])
    assert {"id", "tenant", "name", "role", "createdAt", "revokedAt", "secret"} == set(made)


def test_keys_are_listed_and_revoked(empty: Terminal) -> None:
    """A revoked key is good for nothing, and stays in the list, which never shows the key itself."""
    made = empty.document("keys", "create", "a", "--role", "viewer")
    assert 0 == empty.says("keys", "revoke", made["id"]).code
    assert found(empty.file, made["secret"]) is None
    (listed,) = empty.document("keys", "list")
    assert made["id"] == listed["id"]
    assert listed["revokedAt"] is not None
    header, row = empty.says("keys", "list").lines
    assert ["ID", "NAME", "ROLE", "CREATED", "REVOKED"] == header.split()
    assert row.startswith(made["id"])
    assert made["secret"] not in row
    assert listed == empty.document("keys", "revoke", made["id"])


def test_keys_of_another_tenant(empty: Terminal) -> None:
    """A tenant's list and revocation do not reach the keys of another."""
    made = empty.document("keys", "create", "a", "--role", "agent", "--tenant", "north")
    assert [] == empty.document("keys", "list")
    assert 1 == empty.says("keys", "revoke", made["id"]).code
    assert found(empty.file, made["secret"]) is not None
    assert 0 == empty.says("keys", "revoke", made["id"], "--tenant", "north").code


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["create", "a"], 2),
        (["create", "a", "--role", "king"], 2),
        (["create", " ", "--role", "agent"], 2),
        (["create", "a", "--role", "agent", "--tenant", ""], 2),
        (["revoke", "nonsense"], 1),
        (["nonsense"], 2),
    ],
)
def test_what_keys_refuse(empty: Terminal, arguments: list[str], code: int) -> None:
    """Wrong usage is 2, an id that there is not is 1; the reason is on stderr, and stdout stays empty."""
    said = empty.says("keys", *arguments)
    assert (code, "") == (said.code, said.out)
    assert any(line.startswith("Error: ") for line in said.err.splitlines())


def test_there_are_no_keys_yet(empty: Terminal) -> None:
    """An empty list is said on stderr as text, and is an empty list as JSON."""
    said = empty.says("keys", "list")
    assert (0, "", "There are no keys.\n") == (said.code, said.out, said.err)
    assert [] == empty.document("keys", "list")


def test_the_groups_are_what_the_root_lists() -> None:
    """Every command that `-h` lists can be loaded, and none else is there."""
    context = application.make_context("handlebar", ["keys"])
    names = application.list_commands(context)
    assert names == [getattr(application.get_command(context, name), "name", None) for name in names]
    assert application.get_command(context, "nonsense") is None
