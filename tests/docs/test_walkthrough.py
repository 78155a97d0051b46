"""The README's walk from an install to a verified trail, walked."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from handlebar.policy import load_policies
from tests.docs.test_readme import README

pytestmark = pytest.mark.slow

_FOUND_LATER = {"APPROVAL": r"approvals approve (\S+)", "TOKEN": r"python desk\.py (\S+)"}


def _part(name: str) -> str:
    """Return the block of the README that stands under that mark."""
    found = re.search(rf"^<!-- walk {re.escape(name)} -->\n```\w+\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def _steps() -> list[tuple[str, list[str]]]:
    """Return the commands of the walk, and what each is promised to print; nothing where nothing is said."""
    steps: list[tuple[str, list[str]]] = []
    for line in _part("console").splitlines():
        if line.startswith("$ "):
            steps.append((line[2:], []))
        else:
            steps[-1][1].append(line)
    return steps


def _ran(command: str, folder: Path, environment: dict[str, str]) -> str:
    """Run a command as a newcomer would."""
    python = command.replace("python ", f"{sys.executable} ").replace(
        "handlebar ", f"{sys.executable} -m handlebar.cli "
    )
    done = subprocess.run(python.split(), cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    assert (0, "") == (done.returncode, done.stderr), (command, done.stdout, done.stderr)
    return done.stdout


def test_every_step_works_and_prints_what_is_promised(tmp_path: Path) -> None:
    """In order, in a new folder, with what one command prints given to the next."""
    for name in ("policies.yaml", "desk.py"):
        (tmp_path / name).write_text(_part(name))
    known: dict[str, str] = {}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    steps = _steps()
    for command, promised in steps:
        for word, value in known.items():
            command = re.sub(rf"\b{word}\b", lambda _, value=value: value, command)
        printed = _ran(command, tmp_path, environment)
        for word, pattern in _FOUND_LATER.items():
            if word not in known and (found := re.search(pattern, printed)):
                known[word] = found[1]
        if command == "handlebar runs list":
            known["RUN"] = re.findall(r"\b[0-9a-f]{8}-[0-9a-f-]{27}\b", printed)[0]
        assert promised in ([], [_generic(line, known) for line in printed.splitlines()])
    assert 8 == len(steps)


def _generic(line: str, known: dict[str, str]) -> str:
    for word, value in known.items():
        line = line.replace(value, word)
    return line


def test_its_policy_loads() -> None:
    """As files are read."""
    import yaml

    (policy,) = load_policies([yaml.safe_load(_part("policies.yaml"))])
    assert "Refunds" == policy.name
