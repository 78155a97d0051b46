"""Which thread answers: one alone as long as it is quick, others where it is held up; nobody waits for who hangs."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from handlebar.server.dispatching import PATIENCE, TaskDispatcher
from tests.support.control import a_limit, a_policy, a_rule
from tests.support.servers import a_key, servers
from tests.support.waiting import eventually, threads_named

THREADS = 4


class Asked:
    """A request: it calls *does*, and knows what became of it."""

    def __init__(self, does: Callable[[], object] = lambda: None) -> None:
        self.does = does
        self.by: list[int] = []
        self.is_done = threading.Event()
        self.is_cancelled = False

    def service(self) -> None:
        """Be answered."""
        self.by.append(threading.get_ident())
        try:
            self.does()
        finally:
            self.is_done.set()

    def cancel(self) -> None:
        """Be given up."""
        self.is_cancelled = True


@pytest.fixture
def dispatcher() -> Iterator[TaskDispatcher]:
    """Make one of four threads; all that is under way has to end within seconds of the test."""
    made = TaskDispatcher(THREADS)
    yield made
    made.shutdown()
    assert not threads_named("handlebar-server-")


@contextmanager
def held_up(dispatcher: TaskDispatcher, number: int) -> Iterator[list[Asked]]:
    """Have so many requests under way that end with the block."""
    with ExitStack() as stack:
        gate = threading.Event()
        hanging = [Asked(gate.wait) for _ in range(number)]
        stack.callback(gate.set)
        for each in hanging:
            dispatcher.add_task(each)
        yield hanging
    assert all_done(hanging)


def asked(dispatcher: TaskDispatcher, number: int) -> list[Asked]:
    """Ask for so many things that take no time."""
    quick = [Asked() for _ in range(number)]
    for each in quick:
        dispatcher.add_task(each)
    return quick


def all_done(those: Sequence[Asked]) -> bool:
    """Whether all of them come to be done."""
    return all(each.is_done.wait(10) for each in those)


def test_one_thread_does_what_is_quick(dispatcher: TaskDispatcher) -> None:
    """One thread does it, mostly: it hands on only where the machine holds it up."""
    those = asked(dispatcher, 500)
    assert all_done(those)
    ((_, most),) = Counter(each.by[0] for each in those).most_common(1)
    assert most >= 250


def test_in_order() -> None:
    """Who comes first is served first."""
    dispatcher = TaskDispatcher(1)
    order: list[int] = []
    those = [Asked(lambda number=number: order.append(number)) for number in range(500)]  # type: ignore[misc]
    for each in those:
        dispatcher.add_task(each)
    assert all_done(those)
    dispatcher.shutdown()
    assert list(range(500)) == order


def test_one_that_hangs_holds_nobody_up(dispatcher: TaskDispatcher) -> None:
    """Those behind it are given to another thread, and those behind the next that hangs to the one after that."""
    with held_up(dispatcher, 1) as (first,):
        assert all_done(asked(dispatcher, 20))
        with held_up(dispatcher, THREADS - 2) as more:
            assert all_done(asked(dispatcher, 20))
            assert not any(each.is_done.is_set() for each in more)
        assert not first.is_done.is_set()


def test_when_all_hang(dispatcher: TaskDispatcher) -> None:
    """The rest waits until one of them is free, and is done then."""
    with held_up(dispatcher, THREADS):
        quick = asked(dispatcher, 20)
        assert not quick[0].is_done.wait(20 * PATIENCE)
    assert all_done(quick)


def test_threads_come_back(dispatcher: TaskDispatcher) -> None:
    """A thread that was held up takes its turn again later: there is always one who does what is asked."""
    for _ in range(3 * THREADS):
        with held_up(dispatcher, THREADS - 1):
            assert all_done(asked(dispatcher, 3))
    assert THREADS == len(threads_named("handlebar-server-")) - len(threads_named("handlebar-server-watch"))


def test_one_that_comes_while_nobody_looks(dispatcher: TaskDispatcher) -> None:
    """After a rest the first that hangs holds up nobody either, however the next one comes."""
    for pause in (0.0, PATIENCE / 2, PATIENCE, 3 * PATIENCE):
        time.sleep(5 * PATIENCE)
        with held_up(dispatcher, 1):
            time.sleep(pause)
            assert all_done(asked(dispatcher, 1))


def test_what_raises(dispatcher: TaskDispatcher, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a request raises is logged, without its words and not each time, and costs no thread."""

    def leave() -> None:
        raise SystemExit("a secret")

    those = [Asked(leave) for _ in range(2 * THREADS)]
    for each in those:
        dispatcher.add_task(each)
    assert all_done(those)
    assert all_done(asked(dispatcher, 1))
    assert ["A request was not answered: SystemExit in leave"] == [each.split(" (")[0] for each in caplog.messages]
    assert "secret" not in caplog.text


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.0, 0.0, PATIENCE / 2, 2 * PATIENCE]), max_size=30))
def test_each_is_done_once(seconds: list[float]) -> None:
    """However long they take, each request is done once."""
    dispatcher = TaskDispatcher(THREADS)
    those = [Asked(lambda pause=pause: time.sleep(pause)) for pause in seconds]  # type: ignore[misc]
    for each in those:
        dispatcher.add_task(each)
    assert all_done(those)
    dispatcher.shutdown()
    assert all(1 == len(each.by) for each in those)


def test_an_end_with_nothing_to_do() -> None:
    """The threads end at once, the second time as well."""
    dispatcher = TaskDispatcher(THREADS)
    for _ in range(2):
        assert dispatcher.shutdown()
        assert not threads_named("handlebar-server-")


@pytest.mark.parametrize("threads", [1, THREADS])
def test_an_end_while_there_is_something_to_do(threads: int) -> None:
    """What has been asked is still answered, by others than who is held up as well."""
    gate = threading.Event()
    dispatcher = TaskDispatcher(threads)
    hanging = Asked(gate.wait)
    dispatcher.add_task(hanging)
    waiting = asked(dispatcher, 3)
    threading.Timer(0.2, gate.set).start()
    assert dispatcher.shutdown()
    assert not threads_named("handlebar-server-")
    assert [(1, False)] * 4 == [(len(each.by), each.is_cancelled) for each in (hanging, *waiting)]


def test_an_end_whose_time_is_over() -> None:
    """What goes on longer is left alone, what has not begun is cancelled, and the threads end when they can."""
    dispatcher = TaskDispatcher(1)
    with held_up(dispatcher, 1) as (hanging,):
        waiting = asked(dispatcher, 3)
        assert dispatcher.shutdown(timeout=0.1)
        assert not hanging.is_done.is_set()
        assert [([], True)] * 3 == [(each.by, each.is_cancelled) for each in waiting]
    assert eventually(lambda: not threads_named("handlebar-server-"))
    assert [[]] * 3 == [each.by for each in waiting]


def test_an_end_that_cancels_nothing() -> None:
    """On demand what has not begun by then is left, and done when somebody can."""
    dispatcher = TaskDispatcher(1)
    with held_up(dispatcher, 1):
        waiting = asked(dispatcher, 3)
        assert not dispatcher.shutdown(cancel_pending=False, timeout=0.1)
    assert all_done(waiting)
    assert not any(each.is_cancelled for each in waiting)
    assert eventually(lambda: not threads_named("handlebar-server-"))


def test_a_server_whose_database_is_locked(tmp_path: Path) -> None:
    """Requests that wait for it hold up none that need not write, though one thread answers where nothing waits."""
    file = tmp_path / "plane.db"
    policy = a_policy(a_rule(a_limit(1000), name="many"))
    with servers(1, file, policy) as (served,), closing(sqlite3.connect(file, isolation_level=None)) as other:
        headers = {"authorization": f"Bearer {a_key(file).secret}"}
        made = requests.post(f"{served.url}/v1/agents", json={"slug": "desk"}, headers=headers, timeout=30)
        question = {"agentId": made.json()["agentId"], "phase": "tool.before", "tool": {"name": "refund"}, "args": {}}
        answers: list[int] = []

        def ask() -> None:
            path = f"{served.url}/v1/runs/run/evaluate"
            answers.append(requests.post(path, json=question, headers=headers, timeout=60).status_code)

        asking = [threading.Thread(target=ask) for _ in range(5)]
        other.execute("BEGIN IMMEDIATE")
        for thread in asking:
            thread.start()
        for _ in range(10):
            assert 200 == requests.get(f"{served.url}/v1/runs", headers=headers, timeout=30).status_code
        assert not answers
        other.execute("COMMIT")
        for thread in asking:
            thread.join(60)
    assert [200] * 5 == answers
