"""The refund desk as users start it: a process of its own, a shop, a control plane in a file."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.examples.conftest import EXAMPLES

pytestmark = pytest.mark.slow

RULES = {
    ("blocked", "money/verify-before-refund"): 5,
    ("blocked", "money/no-refund-above-500"): 3,
    ("blocked", "money/two-refunds-a-run"): 1,
    ("asked", "money/ask-a-person-above-100"): 4,
    ("stopped", "money/twenty-refunds-a-day"): 2,
    ("stopped", "privacy/exports-for-the-privacy-officer-only"): 4,
    ("blocked", "privacy/verify-before-export"): 1,
    ("blocked", "privacy/no-mail-to-competitors"): 2,
    ("blocked", "privacy/no-long-lists"): 1,
    ("would ask", "money/trial-ask-above-50"): 13,
}
"""What the shipped tickets come to, worked one after the other."""

ALLOWED_REFUNDS = {
    ("T-1001", "A-1001", 39.9),
    ("T-1002", "A-1002", 64.0),
    ("T-1004", "A-1003", 18.5),
    ("T-1004", "A-1004", 22.0),
    ("T-1006", "A-1006", 27.5),
    ("T-1011", "A-1011", 45.0),
    ("T-1015", "A-1013", 4.95),
    ("T-1016", "A-1014", 58.0),
    ("T-1017", "A-1015", 12.0),
    ("T-1021", "A-1017", 100.0),
    ("T-1022", "A-1018", 33.0),
    ("T-1027", "A-1021", 19.0),
    ("T-1034", "A-1025", 29.0),
    ("T-1036", "A-1027", 15.0),
    ("T-1042", "A-1030", 20.0),
    ("T-1043", "A-1012", 25.0),
    ("T-1044", "A-1031", 44.0),
    ("T-1045", "A-1032", 35.0),
    ("T-1046", "A-1033", 21.0),
    ("T-1047", "A-1034", 9.9),
    ("T-1051", "A-1036", 26.0),
}
"""What policy allows, but for the day's limit: twenty calls, of which the shop itself refuses T-1030's."""


def desk(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Start the desk in *folder*, with the files that it makes there."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("OPENAI_", "HANDLEBAR_"))}
    root = str(EXAMPLES.parent)
    return subprocess.run(
        [sys.executable, str(EXAMPLES / "refund_desk.py"), "--shop", "shop.db", *arguments],
        cwd=folder,
        env={**kept, "PYTHONPATH": root, "PYTHONIOENCODING": "utf-8", **environment},
        capture_output=True,
        encoding="utf-8",
        timeout=100,
    )


def rows(database: Path, question: str) -> list[tuple[Any, ...]]:
    """Return what is in a database."""
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(question).fetchall()


def refunds(shop: Path) -> set[tuple[Any, ...]]:
    """Return what the shop has paid back: ticket, order, euros."""
    return set(rows(shop, "SELECT ticket_id, order_id, cents / 100.0 FROM refund"))


def rules_told(output: str) -> dict[tuple[str, str], int]:
    """Return how often each rule had which effect, as the summary tells it."""
    lines = re.findall(r"^  (blocked|asked|stopped|would ask) +([a-z]+/[\w-]+) +(\d+) ", output, re.MULTILINE)
    return {(effect, rule): int(times) for effect, rule, times in lines}


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Work all tickets that ship, in order; return the folder, and how the process ended."""
    folder = tmp_path_factory.mktemp("desk")
    return folder, desk(folder, "--workers", "1")


def test_the_shipped_tickets_come_to_what_the_policies_say(worked: Any) -> None:
    """Every ticket is worked, and every rule speaks as often as it must."""
    _, ended = worked
    assert (0, "") == (ended.returncode, ended.stderr)
    assert 52 == len(set(re.findall(r"^  (T-\d{4}) ", ended.stdout, re.MULTILINE)))
    assert RULES == rules_told(ended.stdout)
    assert "42 answered, 6 stopped, 4 waiting for a person" in ended.stdout
    assert "no language model was asked" in ended.stdout


def test_the_shop_holds_the_allowed_refunds_and_no_other(worked: Any) -> None:
    """Nineteen refunds, each of them one that policy allows, and the summary tells their number and sum."""
    folder, ended = worked
    paid = refunds(folder / "shop.db")
    assert 19 == len(rows(folder / "shop.db", "SELECT 1 FROM refund")) == len(paid & ALLOWED_REFUNDS)
    assert f"Refunds  19, {sum(euros for _, _, euros in paid):.2f} EUR" in ended.stdout


def test_several_workers_together_keep_to_the_days_limit(tmp_path: Path) -> None:
    """Eight threads race for twenty places: twenty calls are let through, and the shop agrees with the summary."""
    ended = desk(tmp_path, "--workers", "8")
    assert (0, "") == (ended.returncode, ended.stderr)
    told = re.search(r"^  issue_refund +(\d+) +(\d+|-) ", ended.stdout, re.MULTILINE)
    assert told is not None
    done, failed = int(told[1]), int(told[2].replace("-", "0"))
    assert 20 == done + failed
    paid = refunds(tmp_path / "shop.db")
    assert done == len(rows(tmp_path / "shop.db", "SELECT 1 FROM refund")) == len(paid & ALLOWED_REFUNDS)


def test_no_letter_goes_to_a_competitor(worked: Any) -> None:
    """Whatever tickets say, each of the 46 answers goes to whoever wrote."""
    folder, _ = worked
    recipients = [to for (to,) in rows(folder / "shop.db", "SELECT recipient FROM outbox")]
    assert 46 == len(recipients)
    assert [] == [to for to in recipients if "competitor" in to]


def test_the_days_limit_outlives_the_process(worked: Any, tmp_path: Path) -> None:
    """A second desk on the same database and the same day makes no refund more."""
    folder, _ = worked
    ended = desk(tmp_path, "--limit", "6", "--database", str(folder / "handlebar.db"))
    assert 0 == ended.returncode
    assert set() == refunds(tmp_path / "shop.db")
    assert 4 == rules_told(ended.stdout)["stopped", "money/twenty-refunds-a-day"]


def test_the_audit_trail_is_where_the_summary_says(tmp_path: Path) -> None:
    """As many events are in the database as the summary tells, and none was lost."""
    ended = desk(tmp_path, "--limit", "8")
    told = re.search(r"^Audit +(\S+): (\d+) events sent, 0 lost", ended.stdout, re.MULTILINE)
    assert told is not None
    assert str(tmp_path / "handlebar.db") == told[1]
    assert [(int(told[2]),)] == rows(tmp_path / "handlebar.db", "SELECT count(*) FROM events")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.jsonl"], "missing.jsonl"),
        (["--workers", "0"], "not at least 1"),
        (["--planner", "openai"], "The OpenAI client"),
    ],
)
def test_what_cannot_be_started_says_why(tmp_path: Path, arguments: list[str], said: str) -> None:
    """Wrong arguments end in one message, without a traceback and without a shop."""
    ended = desk(tmp_path, *arguments)
    assert 0 != ended.returncode
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_model_is_asked_and_billed_through_the_openai_client(tmp_path: Path) -> None:
    """With a key the planner is a model: its calls are governed, its tokens counted and priced."""
    pytest.importorskip("openai", reason="the extra `examples` is not installed")
    wanted = [("look_up_order", {"order_id": "A-1001"}), ("issue_refund", {"order_id": "A-1001", "amount": 900})]
    with model_that_wants(wanted) as (url, asked):
        ended = desk(tmp_path, "--limit", "1", OPENAI_API_KEY="none", OPENAI_BASE_URL=url)
    assert 0 == ended.returncode, ended.stderr
    assert re.search(r"T-1001 .*issue_refund blocked +2 +\d+ +3000\+300 +0\.0006\n", ended.stdout)
    assert ["system", "user", "assistant", "tool", "assistant", "tool"] == [m["role"] for m in asked[-1]["messages"]]
    assert "Refused: Nobody has checked who is asking." in asked[-1]["messages"][-1]["content"]


@contextmanager
def model_that_wants(calls: list[tuple[str, Any]]) -> Iterator[tuple[str, list[Any]]]:
    """Serve chat completions on loopback: one of *calls* after the other, then an end."""
    asked: list[Any] = []

    class Model(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            body = json.dumps(completion(calls[len(asked) - 1 : len(asked)])).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", asked
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def completion(calls: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a chat completion of a thousand tokens that wants *calls*."""
    tools = [
        {"id": "x", "type": "function", "function": {"name": name, "arguments": json.dumps(args)}}
        for name, args in calls
    ]
    message = {"role": "assistant", "content": None if tools else "Done.", **({"tool_calls": tools} if tools else {})}
    return {
        "id": "c-1",
        "object": "chat.completion",
        "created": 0,
        "model": "gpt-4o-mini",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
    }
