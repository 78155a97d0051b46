"""The examples for agent frameworks, as users start them; each where its framework is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.examples.conftest import EXAMPLES

pytestmark = pytest.mark.slow

FRAMEWORKS = {
    "anthropic_loop": "anthropic",
    "claude_agent_session": "claude_agent_sdk",
    "crewai_crew": "crewai",
    "google_adk_agent": "google.adk",
    "langchain_agent": "langchain",
    "langgraph_graph": "langgraph.prebuilt",
    "mcp_server": "mcp.server.extension",
    "openai_agents_agent": "agents",
    "openai_loop": "openai.lib.responses_tool_runner",
    "pydantic_ai_agent": "pydantic_ai",
    "vercel_ai_agent": "ai",
}
APPROVALS = {"openai_agents_approval": "agents"}
QUIET = {"CREWAI_DISABLE_TELEMETRY": "true", "OTEL_SDK_DISABLED": "true", "CREWAI_TRACING_ENABLED": "false"}


def installed(module: str) -> bool:
    """Whether *module* can be imported."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def printed(example: str, framework: str, folder: Path) -> str:
    """Run an example, if its framework is there, and return what it prints."""
    if not installed(framework):
        pytest.skip(f"{framework} is not installed")
    root = EXAMPLES.parent
    done = subprocess.run(
        [sys.executable, EXAMPLES / "frameworks" / f"{example}.py"],
        env={**os.environ, **QUIET, "PYTHONPATH": str(root), "CREWAI_STORAGE_DIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout


@pytest.mark.parametrize(("example", "framework"), FRAMEWORKS.items())
def test_an_example(tmp_path: Path, example: str, framework: str) -> None:
    """Runs without a network; no money leaves the house, and the agent says so."""
    said = printed(example, framework, tmp_path)
    assert "MONEY LEFT THE HOUSE" not in said
    assert "'BLOCK': 1" in said


@pytest.mark.parametrize(("example", "framework"), APPROVALS.items())
def test_an_example_that_asks_a_person(tmp_path: Path, example: str, framework: str) -> None:
    """The money leaves the house once, when the person has said yes."""
    before, after = printed(example, framework, tmp_path).split("MONEY LEFT THE HOUSE")
    assert "Waiting for a person" in before
    assert "Agent: Done." in after


def test_every_example_is_run_here() -> None:
    """None is forgotten."""
    there = {path.stem for path in (EXAMPLES / "frameworks").glob("*.py")} - {"desk"}
    assert there == {*FRAMEWORKS, *APPROVALS}
