"""The command in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

from handlebar.cli.texts import safe
from tests.cli.conftest import HOSTILE
from tests.cli.terminal import COMMAND, in_a_process
from tests.support.control import ROOT, url_of

SERVE = [sys.executable, "-m", "handlebar.cli", "serve", "--port", "0"]
"""Without warnings as errors: the server that we use may have some of its own."""


def test_help_is_cheap() -> None:
    """`handlebar -h` tells the commands and the exit codes, and loads nothing heavy for it."""
    heavy = ("sqlalchemy", "rich", "yaml", "requests", "flask", "asyncio")
    code = (
        "import sys; from handlebar.cli import main; sys.argv[1:] = ['-h']\n"
        f"try: main()\nfinally: print([each for each in {heavy} if each in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "[]" == done.stdout.splitlines()[-1]
    assert "lockdown" in done.stdout
    assert "Exit codes: 0" in done.stdout


@pytest.mark.parametrize("arguments", [["runs", "list"], ["runs", "show", "the-run"], ["audit", "verify"]])
def test_commands_in_a_process(file: Path, arguments: list[str]) -> None:
    """`python -m handlebar.cli` answers on stdout alone, and exits with 0."""
    said = in_a_process(*arguments, "--database", url_of(file))
    assert (0, "") == (said.code, said.err)
    assert "the-run" in said.out or "Runs: 2" in said.out


def test_exit_codes_in_a_process(file: Path, tmp_path: Path) -> None:
    """No is 1, wrong usage is 2, no database is 3, and none of them prints a traceback."""
    expected = {
        1: ["runs", "show", "nonsense", "--database", url_of(file)],
        2: ["runs", "list", "--nonsense"],
        3: ["runs", "list", "--database", url_of(tmp_path / "missing.db")],
    }
    for code, arguments in expected.items():
        said = in_a_process(*arguments)
        assert (code, "") == (said.code, said.out)
        assert "Traceback" not in said.err


def test_a_terminal_that_knows_few_characters(file: Path) -> None:
    """What the terminal's encoding cannot show is shown as an escape."""
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    said = in_a_process("runs", "list", "--database", url_of(file), env=environment)
    assert (0, True) == (said.code, r"2J \u65e5" in said.out)


def seen(*arguments: str) -> str:
    """Return what a terminal gets to see of a command."""
    pty = pytest.importorskip("pty")
    mine, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "250", "TERM": "xterm-256color"}
    process = subprocess.Popen([*COMMAND, *arguments], cwd=ROOT, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    text = b""
    # With an error, Linux says that nobody writes any more.
    with suppress(OSError):
        while piece := os.read(mine, 65536):
            text += piece
    os.close(mine)
    assert 0 == process.wait(timeout=60)
    return text.decode()


def test_a_table_on_a_terminal(file: Path) -> None:
    """On a terminal a table is drawn, with no markup and no command in it but its own."""
    text = seen("runs", "show", "the-run", "--database", url_of(file))
    assert "─" in text
    assert safe(HOSTILE) in text
    assert {"\x1b[1m", "\x1b[0m"} >= set(re.findall("\x1b[^m]*m?", text))
    assert not {"\u202e", "\x9b"} & set(text)


@pytest.mark.parametrize(
    ("missing", "arguments", "extra"),
    [
        ("click", ["-h"], "cli"),
        ("sqlalchemy", ["runs", "list"], "cli"),
        ("flask", ["serve", "--port", "0"], "server"),
        ("waitress", ["serve", "--port", "0"], "server"),
    ],
)
def test_packages_that_are_missing(missing: str, arguments: list[str], extra: str, tmp_path: Path) -> None:
    """Where a package is not installed one line says what to install, and the exit code is 3."""
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); sys.modules[{missing!r}] = None\n"
        f"from handlebar.cli import main; sys.argv[1:] = {arguments!r}; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (3, "", 1) == (done.returncode, done.stdout, len(done.stderr.splitlines()))
    assert f"handlebar[{extra}]" in done.stderr


def test_serve(tmp_path: Path) -> None:
    """`serve` makes the database and its first key, says where it listens, and answers there."""
    pytest.importorskip("waitress")
    command = [*SERVE, "--database", url_of(tmp_path / "new.db")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            key, listens = process.stdout.readline(), process.stdout.readline()
            assert "hb_" in key
            with urllib.request.urlopen(listens.split()[-1] + "/healthz", timeout=30) as answer:
                assert 200 == answer.status
        finally:
            process.terminate()


def test_serve_where_it_cannot(tmp_path: Path) -> None:
    """An address that is not this machine's is answered with 3, a port that is none with 2."""
    pytest.importorskip("waitress")
    serve = [*SERVE, "--host", "203.0.113.1", "--database", url_of(tmp_path / "new.db")]
    done = subprocess.run(serve, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (3, 1) == (done.returncode, len(done.stderr.splitlines()))
    assert 2 == in_a_process("serve", "--port", "70000").code


def test_serve_policies_that_are_none(tmp_path: Path) -> None:
    """Policies that cannot be loaded are answered with 1, and a line for each problem."""
    pytest.importorskip("flask")
    (tmp_path / "bad.json").write_text('{"name": "a\\u001b[2J", "rules": 7, "mode": "nonsense"}')
    said = in_a_process("serve", "--policies", str(tmp_path), "--database", url_of(tmp_path / "new.db"))
    assert (1, "", 2) == (said.code, said.out, len(said.err.splitlines()))
    assert "\x1b" not in said.err
