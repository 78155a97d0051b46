"""SIGTERM, with and without our handler."""

from __future__ import annotations

import signal
import subprocess
import sys

from tests.support.control import ROOT
from tests.support.http_server import HttpServer

SCRIPT = """
import signal, sys, time
import handlebar
{before}
handlebar.install_signal_handlers()
client = handlebar.init("desk", api_endpoint=sys.argv[1], api_key="k")
with client.run():
    print("begun", flush=True)
    time.sleep(60)
"""


def killed(url: str, before: str = "") -> int:
    """Send SIGTERM to a script in the middle of a run; return its exit code."""
    command = [sys.executable, "-W", "error", "-c", SCRIPT.format(before=before), url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        assert b"begun\n" == process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        return process.wait(30)


def test_a_run_is_interrupted_and_its_events_delivered() -> None:
    """The script leaves its `with` blocks, and everything arrives."""
    with HttpServer() as server:
        assert 143 == killed(server.url)
        ends = [event["data"]["status"] for event in server.events() if event["kind"] == "run.ended"]
    assert ["interrupted"] == ends


def test_a_handler_that_is_there_already_stays() -> None:
    """Whoever handles SIGTERM goes on doing so."""
    with HttpServer() as server:
        assert 7 == killed(server.url, "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))")


def test_other_threads_are_told_so() -> None:
    """Signals are the main thread's: elsewhere the call is refused."""
    script = """
import threading, handlebar
def work():
    try:
        handlebar.install_signal_handlers()
    except ValueError:
        print("refused")
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, cwd=ROOT)
    assert "refused\n" == done.stdout
