"""Exits, signals and forks of real processes, with events queued and servers that hang."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from handlebar._plumbing import forking
from handlebar.core import Handlebar, HandlebarClientConfig, RunConfig
from handlebar.core.client import HandlebarClient
from tests.support.clients import errors_of, made
from tests.support.forks import in_child
from tests.support.http_server import Hang, HttpServer
from tests.support.tracing import untraced
from tests.support.waiting import eventually, threads_named

EVENTS = "/v1/runs/events"
LIMIT = 5.0
MARGIN = 5.0
"""What a loaded machine may add to starting an interpreter and to the limit."""

SCRIPT = """
import os, signal, sys, threading, time
import handlebar
hb = handlebar.init("desk", api_endpoint=sys.argv[1], api_key="key")
run = hb.start_run_sync(handlebar.RunConfig("run-1"))
for number in range(40):
    run.before_tool_sync("refund", {"number": number})
"""


@pytest.fixture(name="server")
def _server() -> Iterator[HttpServer]:
    with HttpServer() as server:
        yield server


def ran(server: HttpServer, more: str, *, seconds: float = 60) -> tuple[int, str, str, float]:
    """Run the script and *more*; return exit code, output, errors, and the seconds it took."""
    began = time.monotonic()
    arguments = [sys.executable, "-c", SCRIPT + more, server.url]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=seconds, check=False)
    return done.returncode, done.stdout, errors_of(done), time.monotonic() - began


def is_quiet(errors: str) -> bool:
    """Whether there is no traceback: one line that says what was lost is no noise."""
    return errors == "" or (errors.startswith("Audit events were lost") and len(errors.splitlines()) == 1)


def decisions(server: HttpServer) -> list[int]:
    """Return the numbers of the calls whose decisions were recorded."""
    told = [event["data"] for event in server.events() if event["kind"] == "tool.decision"]
    return [data["args"]["number"] for data in told]


@pytest.mark.parametrize("code", [0, 3])
def test_everything_is_delivered_at_exit(server: HttpServer, code: int) -> None:
    """Row 4: without a shutdown; the exit code stays, and nothing is printed."""
    assert (code, "", "") == ran(server, f"sys.exit({code})")[:3]
    assert list(range(40)) == decisions(server)


@pytest.mark.slow
@pytest.mark.parametrize("shutdown", ["", "hb.shutdown_sync()"], ids=["exit", "shutdown"])
def test_a_hanging_server_delays_the_exit_no_longer_than_the_limit(server: HttpServer, shutdown: str) -> None:
    """Row 4: both ways; no traceback, and no thread that cannot be started any more."""
    server.behave(Hang(), path=EVENTS)
    code, _, errors, seconds = ran(server, shutdown)
    assert (0, True) == (code, is_quiet(errors))
    assert seconds < LIMIT + MARGIN


@pytest.mark.slow
def test_an_exit_with_a_full_queue_and_a_hanging_server(server: HttpServer) -> None:
    """Row 4."""
    server.behave(Hang(), path=EVENTS)
    more = "for number in range(2000): run.after_tool_sync('refund', {}, None)"
    code, _, errors, seconds = ran(server, more)
    assert (0, True) == (code, is_quiet(errors))
    assert seconds < LIMIT + MARGIN


def test_an_exit_while_another_thread_still_emits(server: HttpServer) -> None:
    """Row 5: it is in nobody's way."""
    more = """
def emit():
    while True:
        run.after_tool_sync("refund", {}, None)
threading.Thread(target=emit, daemon=True).start()
time.sleep(0.2)
"""
    code, _, errors, seconds = ran(server, more)
    assert (0, "") == (code, errors)
    assert seconds < LIMIT + MARGIN


def test_handlers_at_exit_may_still_emit(server: HttpServer) -> None:
    """Row 5: what the application registers runs before us."""
    code, _, errors, _ = ran(server, "import atexit; atexit.register(run.end_sync)")
    assert (0, "") == (code, errors)
    assert "run.ended" in [event["kind"] for event in server.events()]


def test_a_finaliser_that_emits(server: HttpServer) -> None:
    """Row 6: also while the interpreter goes away."""
    more = """
class Thing:
    def __del__(self):
        run.before_tool_sync("refund", {"number": 40})
thing = Thing()
Thing()
"""
    code, _, errors, _ = ran(server, more)
    assert (0, "") == (code, errors)
    assert list(range(41)) == decisions(server)[:41]


def test_emitting_after_a_shutdown_is_counted(server: HttpServer) -> None:
    """Row 5: and raises nothing."""
    more = "hb.shutdown_sync(); hb.shutdown_sync(); run.after_tool_sync('a', {}, None); time.sleep(0.3)\n"
    more += "print(hb.stats().events_queued, sum(hb.stats().events_dropped.values()) + hb.stats().events_sent)"
    code, output, errors, _ = ran(server, more)
    assert (0, "0 42\n", "") == (code, output, errors)


@pytest.mark.parametrize(
    ("handler", "code"),
    [
        ("", -signal.SIGTERM),
        ("signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))", 7),
        ("signal.signal(signal.SIGTERM, lambda *_: (run.after_tool_sync('late', {}, None), sys.exit(7)))", 7),
    ],
    ids=["default", "exits", "emits"],
)
def test_a_sigterm_in_mid_drain(server: HttpServer, handler: str, code: int) -> None:
    """Row 6: the process ends as it would without us, within the limit, whatever its handler does."""
    server.behave(Hang(), path=EVENTS)
    more = f"{handler}\nprint('draining', flush=True)\nrun.end_sync()\ntime.sleep(30)\n"
    arguments = [sys.executable, "-c", SCRIPT + more, server.url]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "draining\n" == process.stdout.readline()
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=LIMIT + MARGIN + 5)
    assert (code, "") == (process.returncode, errors)


def test_a_ctrl_c_in_mid_drain(server: HttpServer) -> None:
    """Row 6: KeyboardInterrupt reaches the program, which may go on."""
    server.behave(Hang(), path=EVENTS)
    more = """
signal.setitimer(signal.ITIMER_REAL, 0.3)
signal.signal(signal.SIGALRM, signal.default_int_handler)
try:
    run.end_sync()
except KeyboardInterrupt:
    print("interrupted", flush=True)
os._exit(0)
"""
    assert (0, "interrupted\n", "") == ran(server, more)[:3]


def a_client(server: HttpServer) -> HandlebarClient:
    """Return a client of *server*."""
    client = Handlebar.init_sync(HandlebarClientConfig("desk", api_endpoint=server.url, api_key="key"))
    made.append(client)
    return client


def numbered(client: HandlebarClient, numbers: range, run_id: str = "run-1") -> None:
    """Ask for decisions whose events can be told apart."""
    run = client.start_run_sync(RunConfig(run_id))
    for number in numbers:
        assert run.before_tool_sync("refund", {"number": number}).allowed


class TestForks:
    def test_each_process_sends_its_own_events_once(self, server: HttpServer) -> None:
        """Row 1: what was queued in the parent is sent by the parent, and the child works at once."""
        client = a_client(server)
        numbered(client, range(10))

        def child() -> str:
            numbered(client, range(100, 105), "run-2")
            client.shutdown_sync()
            return f"{client.stats().events_sent} {client.stats().events_dropped}"

        # The child has a run.started and five decisions of its own.
        assert "6 {}" == in_child(child)
        client.shutdown_sync()
        assert [*range(10), *range(100, 105)] == sorted(decisions(server))

    def test_multiprocessing_with_a_lock_held_by_another_thread(self, server: HttpServer) -> None:
        """Row 1: other threads decide, emit and drain all the while; no child hangs."""
        client = a_client(server)
        client.ready_sync()
        stop = threading.Event()

        def busy(name: str) -> None:
            run = client.start_run_sync(RunConfig(name))
            while not stop.is_set():
                run.before_tool_sync("search", {})
                client._connection._bus.drain()

        threads = [threading.Thread(target=busy, args=(f"busy-{number}",)) for number in range(3)]
        for thread in threads:
            thread.start()
        try:
            for number in range(5):
                told = in_child(lambda number=number: _decided_in_child(client, f"child-{number}"))
                assert "True" == told
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    @pytest.mark.slow
    @pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
    def test_a_pool_of_forked_workers(self, server: HttpServer) -> None:
        """Row 1: multiprocessing's own fork, as gunicorn and Celery do it."""
        client = a_client(server)
        numbered(client, range(3))
        context = multiprocessing.get_context("fork")
        workers = [
            context.Process(target=_work, args=(client, f"worker-{number}", number * 100)) for number in (1, 2, 3)
        ]
        with untraced():
            for worker in workers:
                worker.start()
        for worker in workers:
            worker.join(60)
            assert 0 == worker.exitcode
        client.shutdown_sync()
        expected = [*range(3), *(number * 100 + each for number in (1, 2, 3) for each in range(4))]
        assert expected == sorted(decisions(server))

    def test_a_fork_that_bypasses_pythons_hooks(self, server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
        """Row 2: uWSGI forks in C; the process id on next use is enough."""
        client = a_client(server)
        numbered(client, range(5))
        before = client.stats().events_sent + client.stats().events_queued
        with monkeypatch.context() as patch:
            patch.setattr(os, "getpid", lambda: 1)
            assert 0 == client.stats().events_queued
            numbered(client, range(100, 103), "run-2")
            client._connection._bus.drain()
            assert 4 == client.stats().events_sent
            # Nobody else will know of the thread of this process that never was.
            client._connection.poller.close()
        assert before == client.stats().events_sent + client.stats().events_queued
        client.shutdown_sync()
        assert [*range(5), *range(100, 103)] == sorted(decisions(server))


def _decided_in_child(client: HandlebarClient, run_id: str) -> str:
    run = client.start_run_sync(RunConfig(run_id))
    allowed = run.before_tool_sync("search", {}).message == "No rule matched"
    run.end_sync()
    return str(allowed)


def _work(client: HandlebarClient, run_id: str, start: int) -> None:
    numbered(client, range(start, start + 4), run_id)
    client.shutdown_sync()


def test_runs_that_are_never_ended_are_bounded(server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 20: the oldest are forgotten beyond a number."""
    monkeypatch.setattr("handlebar.core.active_runs.MAX_ACTIVE", 50)
    client = Handlebar.init_sync(HandlebarClientConfig("desk", enforce_mode="off"))
    for number in range(1000):
        client.start_run_sync(RunConfig(str(number)))
    assert 50 == len(client._active.get())
    for number in range(1000):
        client.start_run_sync(RunConfig(str(number))).end_sync()
    assert 0 == len(client._active.get())


def test_a_run_that_is_ended_by_many_ends_once(server: HttpServer) -> None:
    """Row 20: by two threads, its time to live and its block; one `run.ended`, and one call."""
    client = a_client(server)
    run = client.start_run_sync(RunConfig("run-1", run_ttl_ms=50))
    threads = [threading.Thread(target=run.end_sync) for _ in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    for thread in threads:
        thread.join()
    client.shutdown_sync()
    assert 1 == [event["kind"] for event in server.events()].count("run.ended")
    assert 1 == sum(request.path.endswith("/end") for request in server.requests)


def test_clients_leave_nothing_behind(server: HttpServer) -> None:
    """Row 22: threads and descriptors are back where they were; and two clients do not know of each other."""
    first = a_client(server)
    numbered(first, range(1))
    threads = len(threads_named("handlebar-events"))
    descriptors = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    for number in range(10):
        client = a_client(server)
        numbered(client, range(1), f"run-{number}")
        client.shutdown_sync()
    assert eventually(lambda: len(threads_named("handlebar-events")) <= threads)
    if descriptors is not None:
        # The server in this process holds one for each client until it notices.
        assert eventually(lambda: len(os.listdir("/proc/self/fd")) <= descriptors + 2)
    numbered(first, range(1, 2))


def test_the_registry_of_processes_state_is_not_a_leak() -> None:
    """What is kept by process goes when its owner goes."""
    import gc

    gc.collect()
    before = len(forking._everyone)
    for _ in range(100):
        Handlebar.init_sync(HandlebarClientConfig("desk", enforce_mode="off"))
    gc.collect()
    after: Any = len(forking._everyone)
    assert after <= before
