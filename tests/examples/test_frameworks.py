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
    "crewai_crew": "crewai",
    "google_adk_agent": "google.adk",
    "langchain_agent": "langchain",
    "mcp_server": "mcp.server.extension",
    "openai_agents_agent": "agents",
    "openai_loop": "openai.lib.responses_tool_runner",
    "pydantic_ai_agent": "pydantic_ai",
    "vercel_ai_agent": "ai",
}
QUIET = {"CREWAI_DISABLE_TELEMETRY": "true", "OTEL_SDK_DISABLED": "true", "CREWAI_TRACING_ENABLED": "false"}


def installed(module: str) -> bool:
    """Whether *module* can be imported."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize(("example", "framework"), FRAMEWORKS.items())
def test_an_example(tmp_path: Path, example: str, framework: str) -> None:
    """Runs without a network; no money leaves the house, and the agent says so."""
    if not installed(framework):
        pytest.skip(f"{framework} is not installed")
    root = EXAMPLES.parent
    done = subprocess.run(
        [sys.executable, EXAMPLES / "frameworks" / f"{example}.py"],
        env={**os.environ, **QUIET, "PYTHONPATH": str(root), "CREWAI_STORAGE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    assert "MONEY LEFT THE HOUSE" not in done.stdout
    assert "'BLOCK': 1" in done.stdout


def test_every_example_is_run_here() -> None:
    """None is forgotten."""
    there = {path.stem for path in (EXAMPLES / "frameworks").glob("*.py")} - {"desk"}
    assert there <= set(FRAMEWORKS)
