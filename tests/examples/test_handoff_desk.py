"""The hand-off desk as users start it: two agents in two processes, and a person on the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.examples.conftest import EXAMPLES

pytest.importorskip("click", reason="the extra cli is not installed")
pytestmark = pytest.mark.slow


def in_a_process(folder: Path, *command: str) -> str:
    """Run Python in *folder*; return what it prints."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HANDLEBAR_")}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**kept, "PYTHONPATH": str(EXAMPLES.parent), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=100,
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout


def played(folder: Path, *arguments: str) -> tuple[str, Any]:
    """Let the desk work; return what it prints, and the story as the command line tells it."""
    printed = in_a_process(folder, str(EXAMPLES / "handoff_desk.py"), "--database", "desk.db", *arguments)
    run_id = next(line.split()[-1] for line in printed.splitlines() if line.startswith("Run:"))
    show = ("-m", "handlebar.cli", "runs", "show", run_id, "--json", "--database", "sqlite:///desk.db")
    return printed, json.loads(in_a_process(folder, *show))


def decisions(story: Any) -> list[tuple[str, str]]:
    """Return what was decided about which tool, in order."""
    told = [event["data"] for event in story["events"] if event["kind"] == "tool.decision"]
    return [(data["tool"]["name"], data["verdict"]) for data in told]


def test_a_person_says_yes(tmp_path: Path) -> None:
    """Billing was stopped until then, pays once, and completes; both runs and the packet are one story."""
    printed, story = played(tmp_path)
    assert 1 == printed.count("240.00 paid back for A-1001")
    first, second = story["runs"]
    assert ("triage", "billing") == (first["agent"], second["agent"])
    assert {("customer-4711", "maria", "success")} == {
        (run["sessionId"], run["actorId"], run["status"]) for run in (first, second)
    }
    (packet,) = story["handoffs"]
    assert ("completed", "billing") == (packet["status"], packet["metadata"]["target_agent"]["id"])
    assert ["user", "agent"] == [turn["role"] for turn in packet["context"]["conversation_state"]]
    assert first["runId"] == packet["context"]["custom"]["handlebar"]["run_id"]
    kinds = [each["event_type"] for each in packet["history"]]
    assert ["created", "claimed", "in_progress", "completed"] == kinds
    (asked,) = story["approvals"]
    assert ("used", "ann") == (asked["status"], asked["answers"][0]["respondedBy"])
    assert [("look_up_order", "ALLOW"), ("issue_refund", "BLOCK"), ("issue_refund", "ALLOW")] == decisions(story)
    assert {"packet.claimed", "approval.approved", "run.ended"} <= set(printed.split())


def test_a_person_says_no(tmp_path: Path) -> None:
    """Nothing is paid, and the packet has failed."""
    printed, story = played(tmp_path, "--answer", "denied")
    assert "paid back for" not in printed
    assert "failed" == story["handoffs"][0]["status"]
    assert [("look_up_order", "ALLOW"), ("issue_refund", "BLOCK"), ("issue_refund", "BLOCK")] == decisions(story)
