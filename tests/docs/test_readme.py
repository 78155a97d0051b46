"""What the README prints is what happens."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from handlebar.policy import load_policies

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()

# The walk has a test of its own.
_WITHOUT_THE_WALK = re.sub(r"^<!-- walk .*?^```\w+\n.*?^```\n", "", README, flags=re.MULTILINE | re.DOTALL)


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", _WITHOUT_THE_WALK, flags=re.MULTILINE | re.DOTALL)


def _promised(code: str) -> list[str]:
    """Return what the comments behind `print(…)` say that is printed."""
    return [line.partition("#")[2].strip() for line in code.splitlines() if "print(" in line]


@pytest.fixture(autouse=True)
def _fresh_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each test has a working directory, and a default client, of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("handlebar.core.front._default", [])


def test_the_python_of_the_readme_prints_what_it_promises(capsys: pytest.CaptureFixture[str]) -> None:
    """The blocks run in order, as one program, and print what stands beside each print."""
    names: dict[str, object] = {"__name__": "__main__"}
    blocks = _blocks("python")
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    promised = [line for block in blocks for line in _promised(block)]
    assert promised == capsys.readouterr().out.splitlines()
    assert len(promised) >= 4


def test_the_policy_of_the_readme_loads() -> None:
    """It is a policy as the loader knows them."""
    (block,) = _blocks("yaml")
    (policy,) = load_policies([yaml.safe_load(block)])
    assert "Refund desk" == policy.name


def test_ci_runs_the_readmes_own_command() -> None:
    """A newcomer's second command is the very one that guards the main branch."""
    command = next(block.strip() for block in _blocks("console") if "tox" in block)
    ours = (ROOT / ".ci" / "run").read_text()
    assert command in ours.replace("--quiet ", "")
