"""A database that a real client has filled, once; each test has a copy."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import handlebar
from handlebar import HandlebarClient, HandlebarClientConfig
from tests.cli.terminal import Terminal
from tests.support.control import a_limit, a_policy, a_rule, url_of

HOSTILE = "\x1b[31mred [bold]bold[/bold] \u202e\u2028\x9b2J 日"
"""What no terminal may get to see raw."""


@handlebar.tool
def refund(order: str) -> str:
    """Refund an order."""
    return f"refunded {order}"


@handlebar.tool
def delete(path: str) -> str:
    """Delete a file."""
    raise OSError(path)


def fill(file: Path) -> None:
    """Let an agent make a call that is allowed, one that fails, one that is blocked, one that is asked about."""
    policy = a_policy(
        a_rule(a_limit(1, "refund"), "hitl", name="ask", tool="refund"),
        a_rule(a_limit(1, "delete"), name="never", tool="delete"),
        name="the desk's",
    )
    policy["rules"][1]["effect"]["reason"] = HOSTILE
    config = HandlebarClientConfig(agent="desk", api_endpoint=url_of(file), policies=[policy])
    client = HandlebarClient.init_sync(config)
    with client.run(run_id="the-run", actor=HOSTILE, session_id="monday"):
        refund("A-1")
        for _ in range(2):
            with pytest.raises((OSError, handlebar.ToolBlockedError)):
                delete(HOSTILE)
        with pytest.raises(handlebar.RunTerminatedError):
            refund(HOSTILE)
    with client.run(run_id="second-run"):
        pass
    client.shutdown_sync()


@pytest.fixture(name="filled", scope="session")
def _filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("cli") / "filled.db"
    fill(file)
    return file


@pytest.fixture(name="file")
def _file(filled: Path, tmp_path: Path) -> Path:
    return shutil.copy(filled, tmp_path / "plane.db")


@pytest.fixture(name="terminal")
def _terminal(file: Path) -> Terminal:
    return Terminal(file)


@pytest.fixture(name="empty")
def _empty(tmp_path: Path) -> Terminal:
    terminal = Terminal(tmp_path / "empty.db")
    assert 0 == terminal.says("db", "upgrade").code
    return terminal


@pytest.fixture(autouse=True)
def _no_database_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test works on the database of the person who runs it."""
    monkeypatch.delenv("HANDLEBAR_DATABASE", raising=False)
