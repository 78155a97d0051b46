"""Commands about policies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from handlebar.cli.application import application
from tests.cli.terminal import Said, Terminal
from tests.support.control import a_limit, a_policy, a_rule


def validated(*arguments: str) -> Said:
    """Run `policy validate`."""
    result = CliRunner().invoke(application, ["policy", "validate", *arguments])
    return Said(result.exit_code, result.stdout, result.stderr)


@pytest.fixture(name="good")
def _good(tmp_path: Path) -> str:
    file = tmp_path / "good.json"
    file.write_text(json.dumps([a_policy(a_rule(a_limit(1))), a_policy(a_rule(a_limit(2)), name="other")]))
    return str(file)


@pytest.fixture(name="bad")
def _bad(tmp_path: Path) -> str:
    file = tmp_path / "bad.json"
    rules = (a_rule({"kind": "\x1b[2J[red]"}), a_rule(a_limit(1), "nonsense", name="b"))
    file.write_text(json.dumps(a_policy(*rules, name="bad")))
    return str(file)


def test_good_policies(good: str) -> None:
    """Where all is well it is said how many policies and rules there are."""
    said = validated(good)
    assert (0, "Policies: 2, rules: 2, problems: none.\n", "") == (said.code, said.out, said.err)
    assert {"policies": 2, "rules": 2, "problems": []} == validated(good, "--json").document


def test_every_problem_is_told(good: str, bad: str, tmp_path: Path) -> None:
    """All problems of all paths are told, harmlessly, and the exit code is 1."""
    said = validated(good, bad, str(tmp_path / "missing.yaml"))
    assert (1, "") == (said.code, said.err)
    assert ["missing.yaml", "bad.json", "bad.json"] == [Path(line.split(":")[0]).name for line in said.lines]
    assert r"\x1b[2J[red]" in said.out
    assert "\x1b" not in said.out
    as_json = validated(bad, "--json")
    assert (1, 2) == (as_json.code, len(as_json.document["problems"]))


def test_a_path_is_needed() -> None:
    """Without a path there is nothing to check: wrong usage."""
    assert 2 == validated().code


def test_policies_in_force(terminal: Terminal, empty: Terminal) -> None:
    """`policy list` has a line a policy, or as JSON each as files hold it."""
    header, line = terminal.says("policy", "list").lines
    assert ["ID", "NAME", "RULES", "MODE", "ENABLED"] == header.split()
    assert ["2", "enforce", "yes"] == line.split()[-3:]
    (policy,) = terminal.document("policy", "list")
    assert ("the desk's", ["ask", "never"]) == (policy["name"], [rule["name"] for rule in policy["rules"]])
    assert [] == terminal.document("policy", "list", "--tenant", "north")
    assert "There are no policies.\n" == empty.says("policy", "list").err
