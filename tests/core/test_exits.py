"""Exits of real processes, whatever is under way: quiet, in time, with the exit code that the program has chosen."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.support.clients import errors_of
from tests.support.http_server import Answer, Hang, HttpServer

EVENTS = "/v1/runs/events"
LIMIT = 10.0
"""Five seconds, and what a loaded machine may add to that and to starting an interpreter."""

BEGIN = """
import atexit, logging, os, signal, sys, threading, time
import handlebar
hb = handlebar.init("desk", api_endpoint=sys.argv[1], api_key="the-secret", decision_timeout=1.0)
run = hb.start_run_sync(handlebar.RunConfig("run-1"))
"""
EMIT = """
for number in range(40):
    run.after_tool_sync("refund", {"number": number}, None)
"""


@pytest.fixture(name="server")
def _server() -> Iterator[HttpServer]:
    with HttpServer() as server:
        yield server


def ran(url: str, script: str) -> tuple[int, str, str, float]:
    """Run *script*; return exit code, output, errors, and the seconds it took."""
    began = time.monotonic()
    arguments = [sys.executable, "-c", BEGIN + script, url]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, errors_of(done), time.monotonic() - began


def is_quiet(errors: str) -> bool:
    """Whether nothing went wrong but what is told in lines of our own, and no secret is in them."""
    noise = ("Traceback", "Exception ignored", "can't start new thread", "Fatal Python", "the-secret")
    return not any(each in errors for each in noise)


def kinds(server: HttpServer) -> list[str]:
    """Return the kinds of what was stored."""
    return [event["kind"] for event in server.events()]


def test_an_exit_by_an_exception_is_the_programs_own(server: HttpServer) -> None:
    """Row 4: its traceback is printed and no other, the code is 1, and everything is delivered."""
    code, _, errors, _ = ran(server.url, EMIT + "raise ValueError('mine')")
    assert (1, 1) == (code, errors.count("Traceback"))
    assert "ValueError: mine" in errors
    assert 40 == kinds(server).count("tool.result")


def test_a_control_plane_that_refuses_connections() -> None:
    """Rows 4 and 16: the agent runs under the fail mode, and leaves."""
    code, output, errors, seconds = ran(
        "http://127.0.0.1:1", EMIT + "print(run.before_tool_sync('refund', {}).message)\nsys.exit(3)"
    )
    assert (3, "API unavailable; failing open\n", True) == (code, output, is_quiet(errors))
    assert seconds < LIMIT


def test_a_control_plane_that_is_silent_to_everything(server: HttpServer) -> None:
    """Rows 4 and 17: registering is under way when the interpreter leaves."""
    server.behave(Hang())
    code, _, errors, seconds = ran(server.url, EMIT + "sys.exit(3)")
    assert (3, True) == (code, is_quiet(errors))
    assert seconds < LIMIT


def test_a_decision_under_way_in_a_thread(server: HttpServer) -> None:
    """Row 5: a daemon thread that waits for an answer holds nobody."""
    server.behave(Hang(), path="/evaluate")
    more = "threading.Thread(target=run.before_tool_sync, args=('refund', {}), daemon=True).start()\ntime.sleep(0.2)"
    code, _, errors, seconds = ran(server.url, more)
    assert (0, True) == (code, is_quiet(errors))
    assert seconds < LIMIT


def test_a_wrong_key(server: HttpServer) -> None:
    """Rows 4 and 10: the exit waits for no probe."""
    server.behave(Answer(401), path=EVENTS)
    code, _, errors, seconds = ran(server.url, EMIT + "time.sleep(1.5)\n" + EMIT)
    assert (0, True) == (code, is_quiet(errors))
    assert "check the API key" in errors
    assert seconds < LIMIT


@pytest.mark.parametrize("number", [2, 8])
def test_shutdowns_from_many_threads_at_once(server: HttpServer, number: int) -> None:
    """Row 5: while one still emits; each returns, and what was emitted is sent or counted."""
    more = f"""
stop = threading.Event()
emitted = 0
def emit():
    global emitted
    while not stop.is_set():
        run.after_tool_sync("refund", {{}}, None)
        emitted += 1
emitter = threading.Thread(target=emit)
emitter.start()
threads = [threading.Thread(target=hb.shutdown_sync) for _ in range({number})]
for each in threads: each.start()
for each in threads: each.join()
stop.set()
emitter.join()
for _ in range(200):
    stats = hb.stats()
    gone = stats.events_sent + sum(stats.events_dropped.values())
    if not stats.events_queued: break
    time.sleep(0.02)
# The run.started is one more, and the run.ended of a run that the shutdown ends may be another.
print(stats.events_queued, gone - emitted in (1, 2))
"""
    assert (0, "0 True\n") == ran(server.url, more)[:2]


@pytest.mark.slow
def test_drains_from_many_threads_at_once(server: HttpServer) -> None:
    """Row 5: eight runs end while the server is silent to events; all wait together."""
    server.behave(Hang(), path=EVENTS)
    more = """
runs = [hb.start_run_sync(handlebar.RunConfig(f"many-{each}")) for each in range(8)]
threads = [threading.Thread(target=each.end_sync) for each in runs]
for each in threads: each.start()
for each in threads: each.join()
os._exit(0)
"""
    code, _, errors, seconds = ran(server.url, more)
    assert (0, True) == (code, is_quiet(errors))
    assert seconds < LIMIT


def test_a_logging_handler_that_emits_while_we_log(server: HttpServer) -> None:
    """Row 6: and decides, and drains; no circle, no deadlock."""
    server.behave(Answer(400), path=EVENTS)
    more = """
class Handler(logging.Handler):
    def emit(self, record):
        run.after_tool_sync("logged", {}, None)
        run.before_tool_sync("logged", {})
logging.getLogger().addHandler(Handler())
"""
    code, _, errors, seconds = ran(server.url, more + EMIT + "hb.shutdown_sync(); print(hb.stats().events_queued)")
    assert (0, True) == (code, is_quiet(errors))
    assert seconds < LIMIT


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", -15), ("SIGINT", 0)])
def test_a_signal_while_the_interpreter_waits_at_its_exit(server: HttpServer, name: str, code: int) -> None:
    """Row 6: whoever is tired of waiting is heard at once; a Ctrl-C then is a plain end."""
    server.behave(Hang(), path=EVENTS)
    more = f"""
signal.signal(signal.SIGINT, signal.default_int_handler)  # where the tests run in the background, it is ignored
def strike():
    time.sleep(0.7)
    os.kill(os.getpid(), signal.{name})
threading.Thread(target=strike, daemon=True).start()
"""
    found, _, errors, seconds = ran(server.url, EMIT + more)
    assert (code, True) == (found, is_quiet(errors))
    assert seconds < 4.5


def test_an_exit_within_a_signal_handler_that_emits(server: HttpServer) -> None:
    """Row 6: the code is the handler's, and what it emits is delivered."""
    more = """
def leave(*_):
    run.after_tool_sync("last", {}, None)
    sys.exit(7)
signal.signal(signal.SIGTERM, leave)
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(30)
"""
    assert (7, "", "") == ran(server.url, EMIT + more)[:3]
    assert 41 == kinds(server).count("tool.result")


@pytest.mark.slow
def test_a_hundred_thousand_runs_that_are_never_ended() -> None:
    """Row 20: the second half of them takes no more memory than there was."""
    script = """
import gc, tracemalloc
hb = handlebar.init("desk", enforce_mode="off")
def started(count, start):
    for number in range(start, start + count):
        hb.start_run_sync(handlebar.RunConfig(f"run-{number}"))
    gc.collect()
started(20_000, 0)
tracemalloc.start()
started(20_000, 20_000)
before = tracemalloc.get_traced_memory()[0]
tracemalloc.stop()
started(40_000, 40_000)
tracemalloc.start()
started(20_000, 80_000)
after = tracemalloc.get_traced_memory()[0]
print(len(hb._active.get()), after < 1.2 * before)
"""
    assert (0, "10000 True\n") == ran("http://127.0.0.1:1", script)[:2]
