"""The returns page and its worker: started by their one command, and used by a real client."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.cli.terminal import Terminal
from tests.examples.conftest import EXAMPLES
from tests.support.waiting import eventually
from tests.support.web_servers import PATIENCE, free_port

pytest.importorskip("celery", reason="Celery is not installed: pip install handlebar[celery]")
pytest.importorskip("flask", reason="Flask is not installed: pip install handlebar[flask]")
pytestmark = pytest.mark.slow


@pytest.fixture(name="page", scope="module")
def _page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Serve the page; return its address, and where its databases are."""
    folder, port = tmp_path_factory.mktemp("returns"), free_port()
    command = [sys.executable, str(EXAMPLES / "flask_celery"), "--port", str(port), "--folder", str(folder)]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            assert eventually(lambda: _answers(url), seconds=PATIENCE), (folder / "log").read_text()
            yield url, folder
        finally:
            # Its worker ends with it.
            process.terminate()


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=PATIENCE).status_code == 404
    except requests.ConnectionError:
        return False


def begin(url: str, order: str, conversation: str) -> dict[str, str]:
    """Begin a return, as the customer ann."""
    headers = {"X-Customer": "ann", "X-Conversation-Id": conversation}
    answer = requests.post(f"{url}/returns/{order}", headers=headers, timeout=PATIENCE)
    assert 202 == answer.status_code, answer.text
    begun: dict[str, str] = answer.json()
    return begun


def comes_to(url: str, task: str, state: str) -> dict[str, Any]:
    """Wait until a task is in that state, and return what is told of it."""
    told: dict[str, Any] = {}

    def holds() -> bool:
        told.update(requests.get(f"{url}/returns/{task}", timeout=PATIENCE).json())
        return bool(told["state"] == state)

    assert eventually(holds, seconds=PATIENCE), told
    return told


def events(folder: Path, conversation: str) -> list[dict[str, Any]]:
    """Return the audit events of a conversation."""
    lines = Terminal(folder / "handlebar.db").says("audit", "export", "--format", "jsonl").lines
    return [event for event in map(json.loads, lines) if event.get("sessionId") == conversation]


def test_one_story(page: tuple[str, Path]) -> None:
    """What the page has begun the worker ends: two runs of one conversation, both under the customer's name."""
    url, folder = page
    begun = begin(url, "A-17", "c-1")
    told = comes_to(url, begun["task"], "SUCCESS")
    assert ["the parcel of A-17 is in aisle 4", "40.00 of order A-17 refunded"] == told["steps"]
    assert eventually(lambda: 2 == sum(event["kind"] == "run.ended" for event in events(folder, "c-1")))
    story = events(folder, "c-1")
    tools = [event["data"]["tool"]["name"] for event in story if event["kind"] == "tool.decision"]
    assert {"look_up_order", "search_the_warehouse", "issue_refund"} == set(tools)
    assert {"ann"} == {event["actorExternalId"] for event in story}
    assert begun["run"] in {event["runId"] for event in story}
    assert 2 == len({event["runId"] for event in story})


def test_a_person_is_asked(page: tuple[str, Path]) -> None:
    """The task waits for a person's answer without a worker, and goes on in the same run when it has come."""
    url, folder = page
    begun = begin(url, "A-18", "c-2")
    comes_to(url, begun["task"], "RETRY")
    assert eventually(lambda: any(map(_asks, events(folder, "c-2"))), seconds=PATIENCE)
    pending = [event["data"]["hitl"]["hitlActionId"] for event in events(folder, "c-2") if _asks(event)]
    terminal = Terminal(folder / "handlebar.db")
    assert terminal.document("approvals", "approve", pending[0], "--by", "bob")
    assert "250.00 of order A-18 refunded" == comes_to(url, begun["task"], "SUCCESS")["steps"][-1]
    assert 2 == len({event["runId"] for event in events(folder, "c-2")})


def _asks(event: dict[str, Any]) -> bool:
    return event["kind"] == "tool.decision" and event["data"]["cause"]["kind"] == "HITL_PENDING"


def test_a_large_refund_is_blocked(page: tuple[str, Path]) -> None:
    """Policy's reason is why the task has failed."""
    url, _ = page
    told = comes_to(url, begin(url, "A-19", "c-3")["task"], "FAILURE")
    assert "Refunds above 500 are for a person to make." in told["why"]
