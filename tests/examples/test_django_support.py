"""The support page: started by its one command, and used by a real client."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.cli.terminal import Terminal
from tests.examples.conftest import EXAMPLES
from tests.support.waiting import eventually
from tests.support.web_servers import PATIENCE, free_port

pytest.importorskip("django", reason="Django is not installed: pip install handlebar[django]")
pytestmark = pytest.mark.slow


@pytest.fixture(name="page", scope="module")
def _page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Serve the page; return its address, and where its databases are."""
    folder, port = tmp_path_factory.mktemp("support"), free_port()
    command = [sys.executable, str(EXAMPLES / "django_support.py"), "--port", str(port), "--folder", str(folder)]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            assert eventually(lambda: _answers(url), seconds=PATIENCE), (folder / "log").read_text()
            yield url, folder
        finally:
            process.kill()


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/login", timeout=PATIENCE).status_code == 500  # a login wants a name
    except requests.ConnectionError:
        return False


@pytest.fixture(name="ann")
def _ann(page: tuple[str, Path]) -> Iterator[requests.Session]:
    with requests.Session() as ann:
        ann.headers["X-Conversation-Id"] = "c-1"
        assert ann.post(f"{page[0]}/login", data={"username": "ann", "password": "ann"}, timeout=PATIENCE).ok
        yield ann


def test_a_small_refund_is_made(page: tuple[str, Path], ann: requests.Session) -> None:
    """The agent looks the order up and refunds it; an async view then tells so."""
    url, _ = page
    answer = ann.post(f"{url}/orders/A-17/refund", timeout=PATIENCE)
    assert ["40.00 of order A-17 can be refunded", "40.00 of order A-17 refunded"] == answer.json()["steps"]
    assert 40.0 == ann.get(f"{url}/orders/A-17", timeout=PATIENCE).json()["refunded"]


def test_a_large_refund_is_blocked(page: tuple[str, Path], ann: requests.Session) -> None:
    """Policy's reason is the answer, with 403."""
    answer = ann.post(f"{page[0]}/orders/A-19/refund", timeout=PATIENCE)
    message = "Refunds above 500 are for a person to make."
    assert (403, {"code": "blocked", "message": message}) == (answer.status_code, answer.json()["error"])


def test_a_person_is_asked(page: tuple[str, Path], ann: requests.Session) -> None:
    """The customer waits for a person's answer, and goes on with the same run when it has come."""
    url, folder = page
    waiting = ann.post(f"{url}/orders/A-18/refund", timeout=PATIENCE)
    assert 202 == waiting.status_code
    approval = waiting.json()["approval"]["id"]
    terminal = Terminal(folder / "handlebar.db")
    assert terminal.document("approvals", "approve", approval, "--by", "bob")
    done = ann.post(f"{url}/approvals/{approval}", timeout=PATIENCE)
    assert "250.00 of order A-18 refunded" == done.json()["steps"][-1]
    assert 404 == ann.post(f"{url}/approvals/{approval}", timeout=PATIENCE).status_code


def test_steps_are_streamed_under_the_customers_name(page: tuple[str, Path], ann: requests.Session) -> None:
    """The stream tells each step; the audit log knows who was logged in, and which conversation it was."""
    url, folder = page
    ann.headers["X-Conversation-Id"] = "c-2"
    streamed = ann.post(f"{url}/orders/A-17/refund/stream", timeout=PATIENCE)
    assert streamed.text.splitlines()
    assert eventually(lambda: ("run.ended", "c-2", "1") in _events(folder))


def _events(folder: Path) -> list[tuple[str, str, str]]:
    """Return kind, session and actor of every event in the log."""
    lines = Terminal(folder / "handlebar.db").says("audit", "export", "--format", "jsonl").lines
    events = [json.loads(line) for line in lines]
    return [(each["kind"], each.get("sessionId"), each.get("actorExternalId")) for each in events]
