"""Calls that are made later."""

from __future__ import annotations

import gc
import logging
import random
import subprocess
import sys
import threading
import time
import tracemalloc
import weakref

import pytest

from handlebar._plumbing import timers as timers_module
from handlebar._plumbing.timers import MOST_CALLS, Timers, schedule
from tests.support.forks import in_child
from tests.support.waiting import eventually, threads_named


@pytest.fixture(name="timers")
def _timers() -> Timers:
    return Timers()


class TestSchedule:
    def test_call_is_made(self, timers: Timers) -> None:
        """The call is made when its time has come, not before."""
        began = time.monotonic()
        made: list[float] = []
        timers.schedule(0.1, lambda: made.append(time.monotonic() - began))

        assert eventually(lambda: bool(made))
        assert made[0] >= 0.1

    def test_order(self, timers: Timers) -> None:
        """Calls come in the order of their times, whatever order they were scheduled in."""
        made: list[float] = []
        delays = [0.05 * step for step in range(1, 9)]
        for delay in random.Random(7).sample(delays, len(delays)):
            timers.schedule(delay, lambda delay=delay: made.append(delay))

        assert eventually(lambda: len(made) == len(delays))
        assert delays == made

    def test_earlier_one_scheduled_later(self, timers: Timers) -> None:
        """One that is due earlier than all others wakes the thread that waits for those."""
        made = threading.Event()
        timers.schedule(3600, lambda: None)
        time.sleep(0.05)
        timers.schedule(0.05, made.set)

        assert made.wait(10)

    @pytest.mark.parametrize("seconds", [0, -5])
    def test_at_once(self, timers: Timers, seconds: float) -> None:
        """What is due already is called at once."""
        made = threading.Event()
        timers.schedule(seconds, made.set)

        assert made.wait(10)

    def test_far_future(self, timers: Timers) -> None:
        """A time in many thousand years stops no other timer."""
        made = threading.Event()
        timers.schedule(1e15, lambda: None)
        time.sleep(0.05)
        timers.schedule(0.05, made.set)

        assert made.wait(10)

    def test_scheduled_by_a_call(self, timers: Timers) -> None:
        """A call may schedule the next one."""
        made = threading.Event()
        timers.schedule(0.01, lambda: timers.schedule(0.01, made.set))

        assert made.wait(10)

    def test_shared_timers(self) -> None:
        """The module's own `schedule` does the same."""
        made = threading.Event()
        schedule(0.01, made.set)

        assert made.wait(10)


class TestCancel:
    def test_cancelled_call_is_not_made(self, timers: Timers) -> None:
        """A cancelled call is never made, and cancelling twice is no matter."""
        made: list[str] = []
        timer = timers.schedule(0.1, lambda: made.append("cancelled"))
        timers.schedule(0.2, lambda: made.append("kept"))
        timer.cancel()
        timer.cancel()

        assert eventually(lambda: bool(made))
        assert ["kept"] == made

    def test_waiting(self, timers: Timers) -> None:
        """A timer waits until it is cancelled, or its call has begun."""
        cancelled, called = timers.schedule(60, lambda: None), timers.schedule(0.01, lambda: None)
        assert cancelled.waiting
        cancelled.cancel()

        assert not cancelled.waiting
        assert eventually(lambda: not called.waiting)

    def test_after_the_call(self, timers: Timers) -> None:
        """Cancelling after the call does nothing."""
        made = threading.Event()
        timer = timers.schedule(0, made.set)
        assert made.wait(10)

        timer.cancel()
        assert not timer.waiting

    def test_function_is_let_go(self, timers: Timers) -> None:
        """A cancelled timer keeps nothing alive of what it was to call."""

        class Run:
            """Something a call holds on to."""

            def end(self) -> None:
                """Be called."""

        run = Run()
        gone = weakref.ref(run)
        timer = timers.schedule(3600, run.end)
        timer.cancel()
        del run
        gc.collect()

        assert gone() is None

    def test_memory_stays_flat(self, timers: Timers) -> None:
        """A hundred thousand timers that are scheduled and cancelled leave nothing behind."""
        timers.schedule(3600, lambda: None)
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(100_000):
                timers.schedule(3600, int).cancel()
            gc.collect()
            grown = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()

        assert grown < 200_000

    def test_many_at_once(self, timers: Timers) -> None:
        """Of many timers, cancelled in any order from several threads, exactly the others are called."""
        made: list[int] = []
        waiting = [timers.schedule(1.0, lambda number=number: made.append(number)) for number in range(2000)]

        def cancel(part: int) -> None:
            for number in range(part, 2000, 8):
                if number % 100:
                    waiting[number].cancel()

        threads = [threading.Thread(target=cancel, args=(part,)) for part in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert eventually(lambda: len(made) >= 20)
        assert list(range(0, 2000, 100)) == sorted(made)


class TestBadCalls:
    def test_one_that_raises(self, timers: Timers, caplog: pytest.LogCaptureFixture) -> None:
        """A call that raises is logged, and the next ones are made."""
        made = threading.Event()

        def fail() -> None:
            raise LookupError("in the call")

        with caplog.at_level(logging.WARNING, "handlebar"):
            timers.schedule(0, fail)
            timers.schedule(0.05, made.set)
            assert made.wait(10)
        assert 1 == sum("scheduled call failed" in record.getMessage() for record in caplog.records)

    def test_one_that_hangs(self, timers: Timers) -> None:
        """A call that hangs delays no other."""
        gate, made = threading.Event(), threading.Event()
        timers.schedule(0, lambda: gate.wait(60))
        timers.schedule(0.01, made.set)

        assert made.wait(10)
        gate.set()

    def test_more_than_there_are_threads(self, timers: Timers) -> None:
        """Calls that find all threads busy are made when one is free again; none is lost."""
        gate = threading.Event()
        made: list[int] = []
        for _ in range(MOST_CALLS):
            timers.schedule(0, lambda: gate.wait(60))
        for number in range(20):
            timers.schedule(0.05, lambda number=number: made.append(number))
        time.sleep(0.3)

        assert [] == made
        gate.set()
        assert eventually(lambda: sorted(made) == list(range(20)))


class TestThread:
    def test_started_on_first_use_and_ended_when_idle(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The thread starts with the first timer, and ends when there has been none for a while."""
        others = threads_named("handlebar-timers")

        def ours() -> list[threading.Thread]:
            return [thread for thread in threads_named("handlebar-timers") if thread not in others]

        monkeypatch.setattr(timers_module, "IDLE_SECONDS", 0.2)
        timers = Timers()
        assert [] == ours()

        timers.schedule(0.01, lambda: None)
        assert [True] == [thread.daemon for thread in ours()]
        assert eventually(lambda: not ours())

        made = threading.Event()
        timers.schedule(0.01, made.set)
        assert made.wait(10)

    def test_a_cancelled_timer_keeps_no_thread(self, timers: Timers, monkeypatch: pytest.MonkeyPatch) -> None:
        """The thread ends although the cancelled call was far off."""
        others = threads_named("handlebar-timers")
        monkeypatch.setattr(timers_module, "IDLE_SECONDS", 0.2)
        timers.schedule(3600, int).cancel()
        assert eventually(lambda: not set(threads_named("handlebar-timers")) - set(others))

    def test_exit_does_not_wait(self) -> None:
        """A timer that is far off does not keep the interpreter from exiting."""
        code = "from handlebar._plumbing.timers import schedule; schedule(3600, int); print('leaving')"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

        assert ("leaving\n", "", 0) == (done.stdout, done.stderr, done.returncode)


class TestForks:
    def test_child_starts_empty(self, timers: Timers) -> None:
        """A fork's child has none of its parent's timers, and its own work."""
        made: list[str] = []
        timer = timers.schedule(0.3, lambda: made.append("parent's"))

        def work() -> str:
            timer.cancel()
            done = threading.Event()
            timers.schedule(0.6, lambda: (made.append("child's"), done.set()))
            return ",".join(made) if done.wait(10) else "not called"

        assert "child's" == in_child(work)
        assert eventually(lambda: made == ["parent's"])

    def test_fork_while_the_lock_is_held(self, timers: Timers) -> None:
        """A child that is forked while another thread is scheduling does not hang."""
        stop = threading.Event()

        def busy() -> None:
            while not stop.is_set():
                timers.schedule(3600, int).cancel()

        thread = threading.Thread(target=busy)
        thread.start()

        def work() -> str:
            done = threading.Event()
            timers.schedule(0, done.set)
            return str(done.wait(10))

        try:
            assert [in_child(work) for _ in range(10)] == ["True"] * 10
        finally:
            stop.set()
            thread.join()
