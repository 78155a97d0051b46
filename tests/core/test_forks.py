"""Forks of real processes whose children leave by the interpreter's own exit, or find locks that are held."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from handlebar._plumbing import logs
from handlebar.core import Handlebar, HandlebarClientConfig, RunConfig
from handlebar.core.client import HandlebarClient
from tests.support.clients import errors_of, made
from tests.support.forks import in_child
from tests.support.http_server import Answer, Hang, HttpServer
from tests.support.waiting import eventually

BEGIN = """
import ctypes, os, sys, threading, time
import handlebar
hb = handlebar.init("desk", api_endpoint=sys.argv[1], api_key="key")
run = hb.start_run_sync(handlebar.RunConfig("run-1"))
for number in range(20):
    run.before_tool_sync("refund", {"number": number})
began = time.monotonic()
"""
LEAVE = """
os.waitpid(child, 0)
print(time.monotonic() - began < 4)
"""
HOOKS = "child = os.fork()\n"
NO_HOOKS = "child = ctypes.PyDLL(None).fork()\n"


@pytest.fixture(name="server")
def _server() -> Iterator[HttpServer]:
    with HttpServer() as server:
        yield server


def ran(server: HttpServer, script: str) -> tuple[int, str, str]:
    """Run *script*; return exit code, output and errors."""
    arguments = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", BEGIN + script, server.url]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, errors_of(done)


def numbers(server: HttpServer) -> list[int]:
    """Return the numbers of the calls whose decisions were recorded."""
    told = [event["data"] for event in server.events() if event["kind"] == "tool.decision"]
    return sorted(data["args"]["number"] for data in told)


@pytest.mark.parametrize("fork", [HOOKS, NO_HOOKS], ids=["fork", "fork in C"])
def test_a_child_that_does_nothing_leaves_at_once(server: HttpServer, fork: str) -> None:
    """Rows 1, 2 and 4: it neither waits for nor sends what the parent has queued."""
    assert (0, "True\n", "") == ran(server, fork + "if not child: sys.exit(0)" + LEAVE)
    assert list(range(20)) == numbers(server)


@pytest.mark.parametrize("fork", [HOOKS, NO_HOOKS], ids=["fork", "fork in C"])
def test_a_child_that_goes_on_with_the_parents_run(server: HttpServer, fork: str) -> None:
    """Rows 1, 2 and 4: at its exit it delivers its own events, once, and none of the parent's."""
    work = "if not child:\n    run.before_tool_sync('refund', {'number': 100})\n    sys.exit(0)"
    assert (0, "True\n", "") == ran(server, fork + work + LEAVE)
    assert [*range(20), 100] == numbers(server)


@pytest.mark.slow
def test_a_fork_in_mid_delivery(server: HttpServer) -> None:
    """Rows 1 and 19: the parent's batch, under way to a silent server, is the parent's alone."""
    server.behave(Hang(), path="/v1/runs/events", times=1)
    more = "threading.Thread(target=run.end_sync, daemon=True).start()\ntime.sleep(0.5)\n"
    assert (0, "True\n", "") == ran(server, more + HOOKS + "if not child: sys.exit(0)" + LEAVE)
    assert 1 == len(set(server.batches))


def a_client(server: HttpServer) -> HandlebarClient:
    """Return a client of *server*."""
    client = Handlebar.init_sync(HandlebarClientConfig("desk", api_endpoint=server.url, api_key="key"))
    made.append(client)
    return client


@contextmanager
def held_elsewhere(*locks: Any) -> Iterator[None]:
    """Let another thread hold *locks*, for ever as far as a child of a fork can tell."""
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with ExitStack() as stack:
            for lock in locks:
                stack.enter_context(lock)
            held.set()
            done.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_a_fork_while_another_thread_holds_every_lock(server: HttpServer) -> None:
    """Row 1: the child decides, emits, ends a run and shuts down without any of them."""
    client = a_client(server)
    run = client.start_run_sync(RunConfig("run-1"))
    run.before_tool_sync("refund", {"number": 1})
    connection: Any = client._connection
    batcher = connection._bus._sinks[0]._mailroom.get().batcher
    locks = [
        batcher._queue.mutex,
        batcher._working,
        connection._registration._attempts.get().lock,
        connection._plane._circuit.get()._lock,
        client._active.get()._lock,
        logs._gates.get().setdefault("decide:network", logs._Gate())._lock,
    ]
    # The thread that delivers holds one of them while it works; when the queue closes it has ended.
    batcher.close()

    def child() -> str:
        first = run.before_tool_sync("refund", {"number": 100}).message
        other = client.start_run_sync(RunConfig("run-2"))
        second = other.before_tool_sync("refund", {"number": 101}).message
        other.end_sync()
        client.shutdown_sync()
        return f"{first}, {second}"

    with held_elsewhere(*locks):
        assert "No rule matched, No rule matched" == in_child(child)
    assert [1, 100, 101] == numbers(server)


def test_a_fork_while_another_thread_registers(server: HttpServer) -> None:
    """Row 1: the child waits for no thread of the parent's, it registers for itself."""
    server.behave(Hang(), path="/v1/agents", times=1)
    client = a_client(server)
    thread = threading.Thread(target=client.ready_sync)
    thread.start()
    assert eventually(lambda: len(server.requests) == 1)

    def child() -> str:
        run = client.start_run_sync(RunConfig("run-1"))
        return run.before_tool_sync("refund", {}).message

    assert "No rule matched" == in_child(child)
    server._cut_all()
    thread.join()


def test_a_run_whose_start_is_still_to_come_is_governed_in_a_child(server: HttpServer) -> None:
    """Row 1: the parent could not register; the child, whose server is back, can."""
    server.behave(Answer(500), path="/v1/agents", times=1)
    server.decision = {**server.decision, "verdict": "BLOCK", "message": "No"}
    run = a_client(server).start_run_sync(RunConfig("run-1"))
    assert "No" == in_child(lambda: run.before_tool_sync("refund", {}).message)


def test_a_blocked_tool_stays_blocked_in_a_child(server: HttpServer) -> None:
    """Row 1: a run goes on under the server's decisions, not under the fail mode."""
    server.decision = {**server.decision, "verdict": "BLOCK", "message": "No"}
    run = a_client(server).start_run_sync(RunConfig("run-1"))
    assert "No" == run.before_tool_sync("refund", {}).message
    assert "No" == in_child(lambda: run.before_tool_sync("refund", {}).message)


def test_two_clients_one_of_them_shut_down(server: HttpServer) -> None:
    """Row 22: the other decides and delivers as before."""
    with HttpServer() as second:
        kept, gone = a_client(server), a_client(second)
        runs = [client.start_run_sync(RunConfig("run-1")) for client in (kept, gone)]
        gone.shutdown_sync()
        assert "No rule matched" == runs[0].before_tool_sync("refund", {"number": 1}).message
        kept.shutdown_sync()
        assert ([1], []) == (numbers(server), numbers(second))
