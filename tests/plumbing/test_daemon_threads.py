"""Daemon threads on loan."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
import weakref
from contextvars import ContextVar

import pytest

from handlebar._plumbing import daemon_threads
from handlebar._plumbing.daemon_threads import DaemonThreads
from tests.support.forks import in_child
from tests.support.waiting import eventually, threads_named

_word: ContextVar[str] = ContextVar("word", default="none")


@pytest.fixture(autouse=True)
def _short_idleness(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon_threads, "IDLE_SECONDS", 0.2)


class TestSubmit:
    def test_result(self) -> None:
        """What the function returns comes out of the future."""
        future = DaemonThreads("t-result").submit(pow, 2, 5)

        assert future is not None
        assert 32 == future.result(10)

    def test_exception(self) -> None:
        """What the function raises comes out of the future, SystemExit too, and the thread goes on."""
        threads = DaemonThreads("t-error", most=1)
        first = threads.submit(sys.exit, 3)
        assert first is not None
        with pytest.raises(SystemExit):
            first.result(10)

        second = None
        assert eventually(lambda: threads.submit(int) is not None)
        assert second is None

    def test_threads_are_daemons_with_names(self) -> None:
        """They are daemons and are named after what they do."""
        future = DaemonThreads("t-named").submit(threading.current_thread)
        assert future is not None
        thread = future.result(10)

        assert "handlebar-t-named-1" == thread.name
        assert thread.daemon

    def test_nothing_before_first_use(self) -> None:
        """Making the pool starts no thread."""
        DaemonThreads("t-unused")

        assert [] == threads_named("handlebar-t-unused")

    def test_context_is_copied(self) -> None:
        """The function sees the caller's context variables, and cannot change them."""
        _word.set("caller's")

        def look() -> str:
            seen = _word.get()
            _word.set("worker's")
            return seen

        future = DaemonThreads("t-context").submit(look)
        assert future is not None
        assert "caller's" == future.result(10)
        assert "caller's" == _word.get()

    def test_threads_are_used_again(self) -> None:
        """Calls one after another share a thread."""
        threads = DaemonThreads("t-again")
        names = set()
        for _ in range(20):
            future = threads.submit(threading.current_thread)
            assert future is not None
            names.add(future.result(10).name)
            time.sleep(0.01)

        assert len(names) < 5

    def test_bounded(self) -> None:
        """Where all threads are busy, the function is not called and None is returned."""
        threads = DaemonThreads("t-most", most=2)
        go = threading.Event()
        running = [threads.submit(go.wait, 30) for _ in range(2)]
        called: list[int] = []

        assert threads.submit(called.append, 1) is None
        go.set()
        assert [True, True] == [future.result(10) for future in running if future]
        assert [] == called
        assert eventually(lambda: threads.submit(called.append, 2) is not None)
        assert eventually(lambda: called == [2])

    def test_idle_threads_end(self) -> None:
        """A thread that has nothing to do ends, and a later call starts another."""
        threads = DaemonThreads("t-idle")
        assert threads.submit(int) is not None
        assert eventually(lambda: not threads_named("handlebar-t-idle"))

        future = threads.submit(int)
        assert future is not None
        assert 0 == future.result(10)

    def test_no_call_is_lost_where_threads_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Calls that come just when idle threads end are all made."""
        monkeypatch.setattr(daemon_threads, "IDLE_SECONDS", 0.001)
        threads = DaemonThreads("t-race")
        made = 0
        for number in range(300):
            future = threads.submit(int)
            assert future is not None
            future.result(10)
            made += 1
            time.sleep(0.0005 * (number % 5))

        assert 300 == made

    def test_finished_work_is_let_go(self) -> None:
        """An idle thread keeps nothing of its last call alive."""

        class Big:
            """Something that must not be kept."""

        big = Big()
        gone = weakref.ref(big)
        threads = DaemonThreads("t-free")
        future = threads.submit(id, big)
        assert future is not None
        future.result(10)
        del future, big

        def is_gone() -> bool:
            gc.collect()
            return gone() is None

        assert eventually(is_gone)


class TestForks:
    def test_child_starts_with_none(self) -> None:
        """A child forked while all threads are busy has threads of its own at once."""
        threads = DaemonThreads("t-fork", most=1)
        go = threading.Event()
        assert threads.submit(go.wait, 30) is not None

        def work() -> str:
            future = threads.submit(str, "the child's")
            return future.result(10) if future else "refused"

        assert "the child's" == in_child(work)
        go.set()

    def test_function_that_forks(self) -> None:
        """A function may fork: the parent gets its result once, and the child's copy of the thread just ends."""
        code = """
import os
from handlebar._plumbing.daemon_threads import DaemonThreads
parent = os.getpid()
def fork():
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    return "parent" if child else "child"
threads = DaemonThreads("t")
print(threads.submit(fork).result(20), threads.submit(str, "alive").result(20), os.getpid() == parent, flush=True)
"""
        done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=60)

        assert "parent alive True\n" == done.stdout
        assert "" == done.stderr

    def test_exit_does_not_wait(self) -> None:
        """A call that hangs does not keep the interpreter from exiting, nor print a traceback."""
        code = """
import threading
from handlebar._plumbing.daemon_threads import DaemonThreads
DaemonThreads("t").submit(threading.Event().wait)
print("leaving", flush=True)
"""
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env={**os.environ}
        )

        assert ("leaving\n", "", 0) == (done.stdout, done.stderr, done.returncode)
