"""Functions and sinks of the user's that raise, hang, fork, and come back into us."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from handlebar.core import (
    AgentMetricHook,
    LLMMessage,
    RunConfig,
    SubjectRegistry,
    get_current_run,
)
from handlebar.core.client import HandlebarClient
from tests.faults.conftest import MakeClient
from tests.support.forks import in_child
from tests.support.http_server import HttpServer

TIMEOUT_MS = 200.0
MARGIN = 5.0


def raises(*_: Any) -> Any:
    """Fail as no function should."""
    raise RuntimeError("canary-of-the-users")


def hangs(*_: Any) -> Any:
    """Never return, nearly."""
    threading.Event().wait(TIMEOUT_MS / 1000 + MARGIN)


def recurses(*_: Any) -> Any:
    """Ask about another call from within this one."""
    run = get_current_run()
    assert run is not None
    run.before_tool_sync("refund", {})
    return 1


def forks(*_: Any) -> Any:
    """Fork in the middle of our call, and let the child leave."""
    in_child(lambda: str(os.getpid()))
    return 1


FAULTS = [raises, hangs, recurses, forks]


def hooked(fault: Callable[..., Any]) -> dict[str, Any]:
    """Return a config with *fault* in every place that the time limits bound."""
    subjects = SubjectRegistry()
    subjects.register("refund", fault, timeout_seconds=TIMEOUT_MS / 1000)
    hooks = [AgentMetricHook("amount", phase, fault, timeout_ms=TIMEOUT_MS) for phase in ("tool.before", "tool.after")]
    return {"metric_hooks": hooks, "subject_registry": subjects}


@pytest.mark.parametrize("fault", FAULTS)
def test_hooks_and_extractors(server: HttpServer, a_client: MakeClient, fault: Callable[..., Any]) -> None:
    """Row 21: each call gets the server's decision, in time, and the run's events are all delivered."""
    client = a_client(**hooked(fault))
    client.ready_sync()
    began = time.monotonic()
    with client.run("run-1") as run:
        for number in range(2):
            assert "No rule matched" == run.before_tool_sync("refund", {"number": number}).message
            run.after_tool_sync("refund", {"number": number}, None)
    assert time.monotonic() - began < 8 * TIMEOUT_MS / 1000 + 2 * MARGIN
    client.shutdown_sync()
    told = [event["data"]["args"] for event in server.events() if event["kind"] == "tool.decision"]
    assert [{"number": 0}, {"number": 1}] == [args for args in told if args]
    assert {} == client.stats().events_dropped


def test_a_failing_hook_is_reported_once_and_without_its_words(
    server: HttpServer, a_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Row 21: one line, however often; what the exception said is not in it, for it may hold an argument."""
    client = a_client(metric_hooks=[AgentMetricHook("amount", "tool.before", raises)])
    with client.run("run-1") as run:
        for _ in range(20):
            run.before_tool_sync("refund", {})
    client.shutdown_sync()
    lines = [record.getMessage() for record in caplog.records if "amount" in record.getMessage()]
    assert 1 == len(lines)
    assert "canary-of-the-users" not in caplog.text
    assert 1 == [event["kind"] for event in server.events()].count("error")


@pytest.mark.parametrize("fault", [raises, recurses])
def test_redactors(server: HttpServer, a_client: MakeClient, fault: Callable[..., Any]) -> None:
    """Row 21: the model gets the message; what cannot be redacted is not recorded."""
    client = a_client(redactors=[fault])
    with client.run("run-1") as run:
        (message,) = run.before_llm_sync([LLMMessage("user", "canary-content")])
    client.shutdown_sync()
    assert "canary-content" == message.content
    assert "canary-content" not in str(server.events())
    assert "run.ended" in [event["kind"] for event in server.events()]


def test_a_finished_run_of_a_hook_that_ends_it(server: HttpServer, a_client: MakeClient) -> None:
    """Row 21: a hook that ends the very run that it measures, and shuts the client down, hangs nothing."""
    clients: list[HandlebarClient] = []

    def end(context: Any) -> None:
        context.run.end_sync()
        clients[0].shutdown_sync()

    clients.append(a_client(metric_hooks=[AgentMetricHook("amount", "tool.before", end)]))
    run = clients[0].start_run_sync(RunConfig("run-1"))
    began = time.monotonic()
    run.before_tool_sync("refund", {})
    assert time.monotonic() - began < 2 * MARGIN
    assert run.is_ended
