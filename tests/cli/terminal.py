"""The command, as it is given in a terminal: in this process, or in one of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from attrs import frozen
from click.testing import CliRunner

from handlebar.cli.application import application
from tests.support.control import ROOT, url_of

COMMAND = [sys.executable, "-W", "error", "-m", "handlebar.cli"]


@frozen
class Said:
    """What a command has printed, and how it has ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What was printed, line by line; nothing but a newline ends one."""
        return self.out.split("\n")[:-1]

    @property
    def document(self) -> Any:
        """The one JSON document that was printed."""
        return json.loads(self.out)


@frozen
class Terminal:
    """Gives commands that work on one database file."""

    file: Path

    def says(self, *arguments: str) -> Said:
        """Run a command in this process; it must not fail in a way that prints a traceback."""
        result = CliRunner().invoke(application, [*arguments, "--database", url_of(self.file)])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return Said(result.exit_code, result.stdout, result.stderr)

    def document(self, *arguments: str) -> Any:
        """Run a command that succeeds; return the JSON document that it prints."""
        said = self.says(*arguments, "--json")
        assert (0, "") == (said.code, said.err)
        return said.document


def in_a_process(*arguments: str, **options: Any) -> Said:
    """Run the command in a process of its own."""
    done = subprocess.run([*COMMAND, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, **options)
    return Said(done.returncode, done.stdout, done.stderr)
