"""A bounded queue and the thread that empties it."""

from __future__ import annotations

import gc
import logging
import os
import queue
import random
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlebar._plumbing import logs
from handlebar._plumbing.batching import Batcher, Pace
from handlebar._plumbing.clock import monotonic
from handlebar._plumbing.counting import Tally
from tests.support.forks import in_child
from tests.support.waiting import eventually, threads_named

NAME = "handlebar-test-batch"


class _Courier:
    """Keeps what it is given; *act* runs before that, and may raise or take its time."""

    def __init__(self, tally: Tally, *, room: int = 50) -> None:
        self.room = room
        self.refusal: str | None = None
        self.given: list[int] = []
        self.sizes: list[int] = []
        self.act: Callable[[Sequence[int], Pace], object] = lambda items, pace: None
        self.threads: set[int] = set()
        self._tally = tally
        self._at_work = threading.Lock()

    def deliver(self, items: Sequence[int], pace: Pace) -> None:
        """Keep *items*."""
        assert self._at_work.acquire(blocking=False), "two threads deliver at the same time"
        try:
            self.threads.add(threading.get_ident())
            self.sizes.append(len(items))
            self.act(items, pace)
            self.given += items
            self._tally.send(len(items))
        finally:
            self._at_work.release()


class _Post:
    """A batcher with its courier and its tally."""

    def __init__(
        self, *, depth: int = 500, interval: float = 0.01, closing: float = 5.0, room: int = 50, name: str = NAME
    ) -> None:
        self.tally = Tally()
        self.courier = _Courier(self.tally, room=room)
        self.batcher: Batcher[int] = Batcher(
            self.courier, self.tally, name=name, depth=depth, interval=interval, closing=closing
        )

    def put_all(self, numbers: Sequence[int]) -> None:
        """Put each of *numbers*."""
        for number in numbers:
            self.batcher.put(number)

    @property
    def gone(self) -> int:
        """How many were sent or dropped."""
        return self.tally.sent + sum(self.tally.dropped.values())

    def settled(self) -> bool:
        """Whether nothing waits any more, before long."""
        return eventually(lambda: self.tally.waiting == 0)


def _held(post: _Post) -> tuple[threading.Event, threading.Event]:
    """Hold the courier at its first delivery; return what tells that it is there, and what lets it go."""
    arrived, free = threading.Event(), threading.Event()

    def hold(items: Sequence[int], pace: Pace) -> None:
        arrived.set()
        free.wait(20)

    post.courier.act = hold
    return arrived, free


def test_nothing_runs_before_the_first_item() -> None:
    """Making a batcher starts no thread, and draining or closing an idle one neither."""
    post = _Post(name="handlebar-test-idle")
    assert post.batcher.drain(1.0)
    post.batcher.close()
    assert [] == threads_named("handlebar-test-idle")


def test_what_is_put_is_delivered_in_order() -> None:
    """All items come, in order, in batches no larger than the courier has room for."""
    post = _Post(room=7, depth=1000)
    post.put_all(range(300))
    assert post.batcher.drain(10)
    assert list(range(300)) == post.courier.given
    assert max(post.courier.sizes) <= 7
    assert (300, {}, 0) == (post.tally.sent, post.tally.dropped, post.tally.waiting)
    post.batcher.close()


def test_the_thread_is_a_daemon_with_a_name() -> None:
    """One daemon thread does the work, however much there is."""
    post = _Post(name="handlebar-test-named")
    post.put_all(range(10))
    (thread,) = threads_named("handlebar-test-named")
    assert thread.daemon
    post.batcher.close()
    assert {thread.ident} == post.courier.threads


def test_items_come_without_anybody_asking() -> None:
    """The thread looks by itself after the interval."""
    post = _Post(interval=0.05)
    post.batcher.put(1)
    assert eventually(lambda: [1] == post.courier.given)
    post.batcher.close()


def test_a_queue_that_fills_does_not_wait_for_the_interval() -> None:
    """Much at once wakes the thread early."""
    post = _Post(interval=3600, depth=20)
    post.batcher.put(0)
    assert eventually(lambda: bool(threads_named(NAME)))
    post.put_all(range(1, 11))
    assert eventually(lambda: 10 <= len(post.courier.given))
    post.batcher.close()


def test_a_tenth_of_the_queue_is_enough() -> None:
    """So much wakes the thread, and less does not."""
    post = _Post(interval=3600, depth=100)
    post.put_all(range(9))
    assert eventually(lambda: bool(threads_named(NAME)))
    time.sleep(0.1)
    assert [] == post.courier.given
    post.batcher.put(9)
    assert eventually(lambda: list(range(10)) == post.courier.given)
    post.batcher.close()


def test_the_oldest_make_room() -> None:
    """When the queue is full the oldest items are dropped, and counted."""
    post = _Post(depth=10)
    arrived, free = _held(post)
    post.batcher.put(-1)
    assert arrived.wait(10)
    post.put_all(range(25))
    free.set()
    assert post.batcher.drain(10)
    assert [-1, *range(15, 25)] == post.courier.given
    assert {"overflow": 15} == post.tally.dropped
    post.batcher.close()


def test_draining_waits_for_what_was_queued_before() -> None:
    """When drain says so, all that had been put by then is gone."""
    post = _Post(interval=3600)
    for number in range(20):
        post.batcher.put(number)
        assert post.batcher.drain(10)
        assert number == post.courier.given[-1]
    post.batcher.close()


def test_draining_gives_up_in_time() -> None:
    """A courier that hangs costs whoever drains the timeout, and the answer is no."""
    post = _Post()
    _, free = _held(post)
    post.batcher.put(1)
    assert not post.batcher.drain(0.05)
    free.set()
    assert post.batcher.drain(10)
    post.batcher.close()


@pytest.fixture
def _restless() -> Iterator[None]:
    """Have threads take turns all the time, in the middle of whatever they do."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("_restless")
@pytest.mark.parametrize("depth", [3, 100])
def test_many_threads_put(depth: int) -> None:
    """Of what many threads put at the same time the newest stay, as many as there is room for, in order."""
    post = _Post(depth=depth)
    arrived, free = _held(post)
    post.batcher.put(-1)
    assert arrived.wait(10)
    threads = [threading.Thread(target=post.put_all, args=(range(n * 10_000, n * 10_000 + 2_000),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert 16_001 == post.tally.came_in.value
    assert depth == post.tally.waiting - 1
    post.batcher.put(99_999)
    free.set()
    assert post.batcher.drain(10)
    assert {"overflow": 16_001 - depth} == post.tally.dropped
    assert [-1, 99_999] == [post.courier.given[0], post.courier.given[-1]]
    for number in range(8):
        own = [item for item in post.courier.given if item // 10_000 == number and item < 99_999]
        assert sorted(own) == own
    post.batcher.close()


@contextmanager
def _somebody_held_up_in(post: _Post, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have a thread put 0, and be held up in the queue's code until the block ends."""
    inside, free = threading.Event(), threading.Event()
    put = queue.Queue.put

    def held(self: queue.Queue[list[int]], item: list[int], *args: Any, **more: Any) -> None:
        if [0] == item:
            inside.set()
            assert free.wait(20)
        put(self, item, *args, **more)

    monkeypatch.setattr(queue.Queue, "put", held)
    thread = threading.Thread(target=post.batcher.put, args=(0,))
    thread.start()
    assert inside.wait(10)
    try:
        yield
    finally:
        free.set()
        thread.join(10)


def test_nobody_waits_for_one_who_is_held_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """While one is in the middle of putting, others put all the same; nobody drains in vain."""
    post = _Post(depth=3)
    with _somebody_held_up_in(post, monkeypatch):
        post.put_all(range(1, 3))
        assert {} == post.tally.dropped
        post.put_all(range(3, 11))
        assert {"overflow": 8} == post.tally.dropped
        assert not post.batcher.drain(0.1)
        assert [] == post.courier.given
    assert post.batcher.drain(10)
    assert [8, 9, 10] == post.courier.given
    post.batcher.close()
    assert post.settled()


def test_what_comes_while_something_is_taken_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `__del__` puts while the thread takes something out is delivered, though nobody else comes."""
    post = _Post()
    get = queue.Queue.get

    def put_meanwhile(self: queue.Queue[list[int]], *args: Any, **more: Any) -> list[int]:
        found = get(self, *args, **more)
        if [1] == found:
            post.batcher.put(2)
        return found

    monkeypatch.setattr(queue.Queue, "get", put_meanwhile)
    post.batcher.put(1)
    assert post.settled()
    assert [1, 2] == post.courier.given
    post.batcher.close()


@pytest.mark.usefixtures("_restless")
def test_many_threads_may_drain() -> None:
    """Everybody who drains is answered, and sees what they had put, though it was another thread that let it in."""
    post = _Post(interval=3600, depth=5000)
    seen: list[bool] = []

    def work(number: int) -> None:
        for step in range(50):
            item = number * 100 + step
            post.batcher.put(item)
            seen.append(post.batcher.drain(20) and item in post.courier.given)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [True] * 400 == seen
    assert len(post.courier.threads) == 1
    post.batcher.close()
    assert (400, {}) == (post.tally.sent, post.tally.dropped)


def test_draining_from_inside_the_courier_does_not_wait_for_itself() -> None:
    """A courier that drains is told no at once."""
    post = _Post()
    answers = []
    post.courier.act = lambda items, pace: answers.append(post.batcher.drain(20))
    post.batcher.put(1)
    assert eventually(lambda: bool(answers))
    assert not answers[0]
    assert post.settled()
    post.batcher.close()


def test_putting_from_inside_the_courier_is_delivered_later() -> None:
    """What a courier puts, such as news of what was lost, is an item like any other."""
    post = _Post()

    def put_more(items: Sequence[int], pace: Pace) -> None:
        if items[0] < 5:
            post.batcher.put(items[0] + 1)

    post.courier.act = put_more
    post.batcher.put(0)
    assert eventually(lambda: list(range(6)) == post.courier.given)
    post.batcher.close()
    assert 6 == post.tally.sent


def test_closing_delivers_what_is_queued_and_ends_the_thread() -> None:
    """After close nothing waits, and no thread is left; closing again changes nothing."""
    post = _Post(interval=3600, name="handlebar-test-close")
    post.put_all(range(100))
    post.batcher.close()
    assert list(range(100)) == post.courier.given
    post.batcher.close()
    assert eventually(lambda: [] == threads_named("handlebar-test-close"))


def test_what_is_put_after_closing_is_counted() -> None:
    """Late items are sent or dropped, none of them waits for ever, and no thread stays."""
    post = _Post(name="handlebar-test-late", closing=0.2)
    post.batcher.put(1)
    post.batcher.close()
    time.sleep(0.25)
    post.put_all(range(10))
    assert post.settled()
    assert 11 == post.gone
    assert {"undelivered": 10} == post.tally.dropped
    assert eventually(lambda: [] == threads_named("handlebar-test-late"))


def test_closing_keeps_to_its_limit() -> None:
    """What cannot be delivered by then is dropped and counted, and a courier that waits is told to stop."""
    post = _Post(closing=0.3, room=1)
    paused: list[bool] = []

    def wait_long(items: Sequence[int], pace: Pace) -> None:
        paused.append(pace.pause(3600))
        assert pace.at_most(3600) <= 0.3

    post.courier.act = wait_long
    post.put_all(range(20))
    began = monotonic()
    post.batcher.close()
    assert monotonic() - began < 10
    assert post.settled()
    assert [False] == paused
    assert (1, {"undelivered": 19}) == (post.tally.sent, post.tally.dropped)


def test_a_courier_that_refuses_is_not_asked() -> None:
    """While the courier takes nothing items wait; when it takes some again, they come."""
    post = _Post()
    post.courier.refusal = "http_401"
    post.put_all(range(5))
    assert not post.batcher.drain(0.1) or post.tally.waiting == 5
    assert [] == post.courier.given
    post.courier.refusal = None
    assert eventually(lambda: list(range(5)) == post.courier.given)
    post.batcher.close()


def test_closing_with_a_courier_that_refuses_drops_for_its_reason() -> None:
    """What nobody will take is dropped at once when the queue closes, for the courier's own reason."""
    post = _Post()
    post.courier.refusal = "http_401"
    post.put_all(range(5))
    post.batcher.close()
    assert post.settled()
    assert {"http_401": 5} == post.tally.dropped


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # of the SystemExit
@pytest.mark.parametrize("kind", [ValueError, SystemExit])
def test_what_a_courier_that_raises_has_not_counted_is_dropped(kind: type[BaseException]) -> None:
    """A fault of the courier's costs its batch, which is counted, and nothing after it."""
    post = _Post(room=4, name="handlebar-test-raise")
    arrived, free = _held(post)
    post.batcher.put(-1)
    assert arrived.wait(10)

    def fail_once(items: Sequence[int], pace: Pace) -> None:
        post.courier.act = lambda items, pace: None
        post.tally.send(1)
        raise kind("no")

    post.courier.act = fail_once
    post.put_all(range(8))
    free.set()
    post.batcher.drain(10)
    post.batcher.put(8)
    post.batcher.close()
    assert post.settled()
    assert [-1, 4, 5, 6, 7, 8] == post.courier.given
    assert (7, {"bug": 3}) == (post.tally.sent, post.tally.dropped)
    assert eventually(lambda: [] == threads_named("handlebar-test-raise"))


def test_a_logging_handler_that_emits_ends() -> None:
    """A handler of the application's that comes back here when we log makes no circle."""
    post = _Post()

    class Emitting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            """Put one more."""
            post.batcher.put(2)

    def fail(items: Sequence[int], pace: Pace) -> None:
        raise ValueError("no")

    handler = Emitting()
    logs.logger.addHandler(handler)
    post.courier.act = fail
    try:
        post.batcher.put(1)
        assert eventually(lambda: {"bug": 2} == post.tally.dropped)
        post.batcher.close()
    finally:
        logs.logger.removeHandler(handler)
    assert 2 == post.tally.came_in.value


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize(("depth", "reasons"), [(64, {"overflow"}), (100_000, set())])
def test_a_signal_handler_may_put_at_any_moment(depth: int, reasons: set[str]) -> None:
    """Items put by a handler, wherever it interrupts, are queued like others; nobody waits for ever."""
    post = _Post(depth=depth)
    by_handler = []

    def handle(*_: object) -> None:
        by_handler.append(1)
        post.batcher.put(-1)

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
    try:
        for number in range(8000):
            post.batcher.put(number)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    post.batcher.close()
    assert post.settled()
    assert by_handler
    assert 8000 + len(by_handler) == post.gone == post.tally.came_in.value
    own = [number for number in post.courier.given if number >= 0]
    assert sorted(own) == own
    assert set(post.tally.dropped) <= reasons


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize("depth", [64, 100_000])
def test_a_signal_handler_may_raise_at_any_moment(depth: int) -> None:
    """What a time limit throws into put reaches the caller, and the queue works on."""
    post = _Post(depth=depth)
    raised = 0
    random_ = random.Random(7)
    # Python's own Thread.start does not bear to be interrupted.
    post.batcher.put(0)
    assert post.batcher.drain(10)

    def handle(*_: object) -> None:
        raise InterruptedError("time is over")

    # What is raised while the collector runs, in a hook of a test tool, reaches nobody.
    gc.disable()
    before = signal.signal(signal.SIGALRM, handle)
    try:
        for _ in range(100):
            try:
                signal.setitimer(signal.ITIMER_REAL, random_.uniform(0.00001, 0.0005))
                for number in range(200):
                    post.batcher.put(number)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except InterruptedError:
                raised += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        gc.enable()
    assert raised
    sent = post.tally.sent
    post.batcher.put(1)
    assert post.batcher.drain(10)
    assert sent < post.tally.sent
    post.batcher.close()
    if depth > 64:  # otherwise what was just making room may be missing from the books
        assert post.settled()
        assert {"interrupted"} >= set(post.tally.dropped)


def test_garbage_may_put_at_any_moment() -> None:
    """Items put by `__del__` are sent or counted."""
    post = _Post(depth=64)
    died = []

    class Dying:
        def __del__(self) -> None:
            died.append(1)
            post.batcher.put(-1)

    for number in range(1500):
        dying = Dying()
        dying.itself = dying  # type: ignore[attr-defined]  # only the collector can free it
        del dying
        post.batcher.put(number)
        if number % 300 == 0:
            gc.collect()
    gc.collect()
    post.batcher.close()
    assert post.settled()
    assert 1500 == len(died)
    assert 3000 == post.gone


acts = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "put", "burst", "drain", "close", "slow", "raise", "fine", "refuse", "rest"]),
        st.integers(0, 12),
    ),
    max_size=14,
)


@given(st.lists(acts, min_size=1, max_size=3), st.integers(1, 20), st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_every_item_is_sent_or_dropped_once(scripts: list[list[tuple[str, int]]], depth: int, room: int) -> None:
    """Whatever several threads do to a queue and its courier, the books balance, and order is kept."""
    post = _Post(depth=depth, room=room, interval=0.001, closing=0.5)

    def slow(items: Sequence[int], pace: Pace) -> None:
        time.sleep(0.001)

    def fail(items: Sequence[int], pace: Pace) -> None:
        raise ValueError("no")

    def become(act: Callable[[Sequence[int], Pace], object]) -> None:
        post.courier.act = act
        post.courier.refusal = None

    def perform(thread: int, script: list[tuple[str, int]]) -> None:
        for step, (name, number) in enumerate(script):
            first = thread * 10_000 + step * 100
            {
                "put": lambda first=first: post.batcher.put(first),
                "burst": lambda first=first, number=number: post.put_all(range(first, first + number)),
                "drain": lambda: post.batcher.drain(5),
                "close": post.batcher.close,
                "slow": lambda: become(slow),
                "raise": lambda: become(fail),
                "fine": lambda: become(lambda items, pace: None),
                "refuse": lambda: setattr(post.courier, "refusal", "http_401"),
                "rest": lambda: time.sleep(0.001),
            }[name]()

    threads = [threading.Thread(target=perform, args=each) for each in enumerate(scripts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    post.batcher.close()
    assert post.settled()
    put = sum({"put": 1, "burst": number}.get(name, 0) for script in scripts for name, number in script)
    assert put == post.tally.came_in.value == post.gone
    assert len(post.courier.given) == post.tally.sent == len(set(post.courier.given))
    for thread in range(len(scripts)):
        own = [item for item in post.courier.given if item // 10_000 == thread]
        assert sorted(own) == own


def test_a_forked_child_leaves_the_parents_queue_alone() -> None:
    """Forking in the middle of the work costs the parent nothing, and a batcher of the child's own works."""
    post = _Post(depth=5000)
    stop = threading.Event()
    number = 0

    def put_on() -> None:
        nonlocal number
        while not stop.is_set() and number < 4000:
            post.batcher.put(number)
            number += 1
            time.sleep(0)

    def child() -> str:
        own = _Post()
        own.put_all(range(20))
        own.batcher.close()
        return f"{own.tally.sent} {os.getpid() != parent}"

    parent = os.getpid()
    thread = threading.Thread(target=put_on)
    thread.start()
    try:
        for _ in range(5):
            assert "20 True" == in_child(child)
    finally:
        stop.set()
        thread.join()
    post.batcher.close()
    assert list(range(number)) == post.courier.given


def test_where_no_thread_can_be_started_draining_does_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that may start no more threads still gets its items out."""
    post = _Post()

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    post.put_all(range(5))
    assert post.batcher.drain(5)
    assert list(range(5)) == post.courier.given
    assert {threading.get_ident()} == post.courier.threads


def test_closed_at_exit() -> None:
    """What is queued when the program ends is delivered, by itself."""
    script = """
import sys
from handlebar._plumbing.batching import Batcher
from handlebar._plumbing.counting import Tally

class Printing:
    room, refusal = 50, None
    def deliver(self, items, pace):
        print(*items)
        tally.send(len(items))

tally = Tally()
batcher = Batcher(Printing(), tally, name="handlebar-exit", depth=9, interval=3600, closing=5)
for number in range(3):
    batcher.put(number)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert ("0 1 2", "") == (" ".join(done.stdout.split()), done.stderr)


def test_a_closed_batcher_can_be_forgotten() -> None:
    """Nothing holds on to a batcher that is closed and done."""
    post = _Post()
    post.batcher.put(1)
    post.batcher.close()
    gone = weakref.ref(post.batcher)
    del post
    assert eventually(lambda: gc.collect() >= 0 and gone() is None)
