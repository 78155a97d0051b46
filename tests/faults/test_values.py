"""Arguments of every odd sort, and arguments that change after they were asked about."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import pytest

from handlebar.core import RunConfig
from tests.faults.conftest import MakeClient
from tests.support.http_server import HttpServer

MOST_BYTES = 40_000_000


class Query:
    """A lazy query, as ORMs make them: whatever asks it anything runs it."""

    ran = 0

    def __iter__(self) -> Iterator[int]:
        type(self).ran += 1
        return iter(range(3))

    def __len__(self) -> int:
        type(self).ran += 1
        return 3

    def __bool__(self) -> bool:
        type(self).ran += 1
        return True

    def __repr__(self) -> str:
        type(self).ran += 1
        return "<3 rows>"

    def __getattr__(self, name: str) -> Any:
        type(self).ran += 1
        raise AttributeError(name)


class Slow:
    """Its repr takes longer than any test."""

    def __repr__(self) -> str:
        threading.Event().wait()
        return "never"


class Broken:
    """Nothing of it works."""

    def __repr__(self) -> str:
        raise RuntimeError

    __str__ = __hash__ = __eq__ = __repr__  # type: ignore[assignment]  # that is the fault


def circular() -> Any:
    """Return a list and a dict that hold each other."""
    outer: list[Any] = []
    outer.append({"outer": outer})
    return outer


def deep() -> Any:
    """Return what no recursive encoder survives."""
    value: Any = "bottom"
    for _ in range(50_000):
        value = [value]
    return value


ODD = {
    "circular": circular(),
    "huge text": "x" * 4_000_000,
    "wide": list(range(200_000)),
    "deep": deep(),
    "bytes": b"\xff\x00",
    "a set of several kinds": {1, "a", None},
    "a date": datetime(2026, 7, 1, tzinfo=timezone.utc),
    "a decimal": Decimal("1E+999999"),
    "no number": Decimal("sNaN"),
    "NaN": float("nan"),
    "infinite": float("-inf"),
    "a lone surrogate": "\udc80",
    "many digits": 1 << 100_000,
    "a generator": (each for each in range(3)),
    "a query": Query(),
    "slow": Slow(),
    "broken": Broken(),
    "a class": Broken,
    "a lock": threading.Lock(),
}


@pytest.mark.parametrize("value", ODD.values(), ids=ODD.keys())
def test_odd_values(server: HttpServer, a_client: MakeClient, value: Any) -> None:
    """Row 14: as argument, result and error; the verdict is the server's, no query runs, the events are valid JSON."""
    server.decision = {**server.decision, "verdict": "BLOCK", "message": "No"}
    Query.ran = 0
    client = a_client()
    run = client.start_run_sync(RunConfig("run-1"))
    assert "No" == run.before_tool_sync("refund", {"value": value, "beside": 7}).message
    assert "No" == run.after_tool_sync("refund", {"value": value}, value, error=value).message
    client.shutdown_sync()
    asked = [request for request in server.requests if request.path.endswith("/evaluate")]
    assert [7, None] == [request.json()["args"].get("beside") for request in asked]
    assert 0 == Query.ran
    assert client.stats().events_sent == len(server.events())
    assert MOST_BYTES > sum(len(json.dumps(event)) for event in server.events())


def test_arguments_that_change_after_the_hook(server: HttpServer, a_client: MakeClient) -> None:
    """Row 15: question and events tell what was true at the hook, at every depth."""
    client = a_client()
    run = client.start_run_sync(RunConfig("run-1"))
    args: dict[str, Any] = {"amount": 5, "lines": [{"sku": "a"}]}
    result = {"rows": [1]}
    run.before_tool_sync("refund", args)
    args["amount"], args["lines"][0]["sku"] = 5_000_000, "changed"
    run.after_tool_sync("refund", args, result)
    result["rows"].clear()
    client.shutdown_sync()
    decided = next(event for event in server.events() if event["kind"] == "tool.decision")
    asked = [request.json() for request in server.requests if request.path.endswith("/evaluate")]
    assert {"amount": 5, "lines": [{"sku": "a"}]} == decided["data"]["args"] == asked[0]["args"]
    assert {"rows": [1]} == asked[1]["result"]


def test_arguments_that_another_thread_changes_all_the_time(server: HttpServer, a_client: MakeClient) -> None:
    """Row 15: each question is valid, the one that the server reads is the one that is recorded."""
    args: dict[str, Any] = {"amount": 0}
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            args["amount"] += 1
            args[f"key-{args['amount'] % 50}"] = [args["amount"]]
            args.pop(f"key-{(args['amount'] + 7) % 50}", None)
            time.sleep(0)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        client = a_client()
        run = client.start_run_sync(RunConfig("run-1"))
        for _ in range(100):
            assert "No rule matched" == run.before_tool_sync("refund", args).message
    finally:
        stop.set()
        thread.join()
    client.shutdown_sync()
    asked = [request.json()["args"] for request in server.requests if request.path.endswith("/evaluate")]
    told = [event["data"]["args"] for event in server.events() if event["kind"] == "tool.decision"]
    assert asked == told
