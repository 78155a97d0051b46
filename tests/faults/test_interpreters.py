"""Threads that are greenlets, threads of C's, interpreters within the interpreter, a Python without its parts."""

from __future__ import annotations

import subprocess
import sys
import threading
from importlib.util import find_spec

import pytest

from tests.support.http_server import HttpServer

SECONDS = 60
WORK = """
hb = handlebar.init("desk", api_endpoint=sys.argv[1], api_key="key")
def work(name):
    with hb.run(name) as run:
        for number in range(20):
            assert run.before_tool_sync("refund", {"number": number}).message == "No rule matched"
def works(make_thread):
    threads = [make_thread(f"run-{number}") for number in range(4)]
    for thread in threads:
        thread.join()
    hb.shutdown_sync()
    stats = hb.stats()
    print(stats.events_sent, stats.events_dropped, stats.decisions)
"""
THREADS = """
import threading
def thread(name):
    made = threading.Thread(target=work, args=(name,))
    made.start()
    return made
works(thread)
"""
PATCH = "import warnings; warnings.simplefilter('ignore'); import gevent.monkey; gevent.monkey.patch_all()\n"
IMPORT = "import sys, handlebar\n"
USE_BEFORE = """
first = handlebar.init("desk", api_endpoint=sys.argv[1], api_key="key")
with first.run() as run:
    run.before_tool_sync("refund", {})
first.shutdown_sync()
"""
ALL = "88 {} {'ALLOW': 80}\n"
"""For each of four runs twenty decisions, a start and an end."""


def ran(script: str, *arguments: str) -> tuple[int, str, str]:
    """Run *script* in an interpreter of its own; return exit code, output and errors."""
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.skipif(find_spec("gevent") is None, reason="gevent is not installed")
@pytest.mark.parametrize(
    "start",
    [PATCH + IMPORT, IMPORT + PATCH, IMPORT + USE_BEFORE + PATCH],
    ids=["before the import", "after the import", "after use"],
)
def test_gevent(server: HttpServer, start: str) -> None:
    """Row 3: whenever it patches, greenlets decide, all events arrive, and the process ends."""
    code, output, errors = ran(start + WORK + THREADS, server.url)
    assert (0, ALL, "") == (code, output, errors)


def test_threads_that_python_did_not_start(server: HttpServer) -> None:
    """Row 26: they have no object in `threading` until somebody asks."""
    script = """
import ctypes
START = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
libc = ctypes.CDLL(None)
libc.pthread_join.argtypes = [ctypes.c_ulong, ctypes.c_void_p]
class Foreign:
    def __init__(self, name):
        self._start = START(lambda _: work(name))
        self._id = ctypes.c_ulong()
        assert libc.pthread_create(ctypes.byref(self._id), None, self._start, None) == 0
    def join(self):
        libc.pthread_join(self._id, None)
works(Foreign)
"""
    assert (0, ALL, "") == ran(IMPORT + WORK + script, server.url)


def test_an_excepthook_that_raises(server: HttpServer) -> None:
    """Row 26: it is of the agent's own threads, and no concern of ours."""
    script = """
import threading
def hook(arguments):
    raise RuntimeError("broken hook")
threading.excepthook = hook
sys.excepthook = lambda *error: None
def fail(name):
    work(name)
    raise ValueError("the agent's own fault")
def thread(name):
    made = threading.Thread(target=fail, args=(name,))
    made.start()
    return made
works(thread)
"""
    assert (0, ALL) == ran(IMPORT + WORK + script, server.url)[:2]


SUBINTERPRETER = """
import sys
try:
    import _interpreters as interpreters
    make, run = lambda: interpreters.create("legacy"), interpreters.exec
except ImportError:
    import _xxsubinterpreters as interpreters
    make, run = lambda: interpreters.create(isolated=False), interpreters.run_string
made = make()
failed = run(made, '''
import sys
sys.path[:] = %r
import handlebar
hb = handlebar.init("desk", enforce_mode="off")
with hb.run() as run:
    print(run.before_tool_sync("refund", {}).verdict.value, flush=True)
hb.shutdown_sync()
''' % sys.path)
print(failed)
"""


def test_a_subinterpreter() -> None:
    """Row 26: one that shares the lock of the interpreter imports us, and is governed."""
    assert (0, "ALLOW\nNone\n", "") == ran(SUBINTERPRETER)


WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name in {%r}:
            raise ImportError(f"this Python has no {name}", name=name)
sys.meta_path.insert(0, Missing())
import handlebar
"""


@pytest.mark.parametrize("module", ["ssl", "_ssl"])
def test_a_python_without_ssl(server: HttpServer, module: str) -> None:
    """Row 26: without encryption it works."""
    assert (0, ALL, "") == ran(WITHOUT % module + WORK + THREADS, server.url)


def test_a_python_without_ssl_that_should_encrypt() -> None:
    """Row 26: the fail decision, and a line that names what is missing."""
    script = """
import logging
logging.basicConfig(stream=sys.stdout, format="%(message)s")
hb = handlebar.init("desk", api_endpoint="https://127.0.0.1:1", api_key="the-key", fail_closed=True, sinks=[])
with hb.run() as run:
    print(run.before_tool_sync("refund", {}).verdict.value)
"""
    code, output, errors = ran(WITHOUT % "_ssl" + script)
    assert (0, "") == (code, errors)
    assert "BLOCK" in output.splitlines()
    assert "ssl" in output.lower()


def test_a_python_without_sqlite() -> None:
    """Row 26: the embedded control plane says at the start what is missing."""
    code, _, errors = ran(WITHOUT % "_sqlite3" + 'handlebar.init("desk", api_endpoint="sqlite://")')
    assert 1 == code
    assert "sqlite3" in errors.splitlines()[-1]


def test_no_thread_can_be_started(server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 26: where the system gives no more threads, decisions are made all the same, and events are delivered."""
    from handlebar.core import Handlebar, HandlebarClientConfig, RunConfig

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    client = Handlebar.init_sync(HandlebarClientConfig("desk", api_endpoint=server.url, api_key="key"))
    client.ready_sync()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        run = client.start_run_sync(RunConfig("run-1"))
        assert "No rule matched" == run.before_tool_sync("refund", {}).message
        run.end_sync()
    client.shutdown_sync()
    stats = client.stats()
    assert 3 == stats.events_sent + sum(stats.events_dropped.values())
