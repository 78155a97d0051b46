"""The `handlebar` logger, at most one line a reason a minute."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator

import pytest

from handlebar._plumbing import exiting, logs
from handlebar._plumbing.logs import QUIET_SECONDS, warn_once_a_minute
from tests.support.clock import Clock
from tests.support.forks import in_child


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the gates' clock."""
    clock = Clock()
    monkeypatch.setattr(logs, "monotonic", clock)
    return clock


class _Calling(logging.Handler):
    """Does with each record what the test wants."""

    def __init__(self, call: object) -> None:
        super().__init__()
        self._call = call

    def emit(self, record: logging.LogRecord) -> None:
        """Call it."""
        self._call(record)  # type: ignore[operator]


@pytest.fixture
def handlers() -> Iterator[list[logging.Handler]]:
    """Return the logger's handlers, put back as they were afterwards."""
    before = list(logs.logger.handlers)
    yield logs.logger.handlers
    logs.logger.handlers[:] = before


def test_one_line_a_minute_with_the_number_held_back(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """The same reason is logged again after a minute, and the line tells how many were held back."""
    for _ in range(5):
        warn_once_a_minute("test", "Lost %d of %s", 3, "them")
    clock.now += QUIET_SECONDS - 0.001
    warn_once_a_minute("test", "Lost %d of %s", 3, "them")
    clock.now += 0.001
    warn_once_a_minute("test", "Lost %d of %s", 4, "them")
    assert [
        "Lost 3 of them",
        "Lost 4 of them (and 5 more times since the last such line)",
    ] == caplog.messages
    assert {("handlebar", logging.WARNING)} == {(record.name, record.levelno) for record in caplog.records}


def test_a_minute_without_more_of_them_adds_nothing(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """Where nothing was held back, the line does not speak of it."""
    warn_once_a_minute("test", "Lost")
    clock.now += QUIET_SECONDS
    warn_once_a_minute("test", "Lost")
    assert ["Lost", "Lost"] == caplog.messages


def test_each_reason_has_its_own_minute(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """One noisy reason does not silence another."""
    for _ in range(3):
        warn_once_a_minute("one", "One")
        warn_once_a_minute("two", "Two")
    assert ["One", "Two"] == caplog.messages


def test_a_broken_handler_breaks_nobody_else(handlers: list[logging.Handler]) -> None:
    """A handler of the application's that raises is no reason for the agent to stop."""
    asked = []

    def fail(record: logging.LogRecord) -> None:
        asked.append(record)
        raise ValueError("no")

    handlers.append(_Calling(fail))
    warn_once_a_minute("test", "Lost")
    assert 1 == len(asked)


def test_a_handler_that_comes_back_is_stopped(handlers: list[logging.Handler]) -> None:
    """A handler that itself ends up here does not go round in circles."""
    asked = []

    def come_back(record: logging.LogRecord) -> None:
        asked.append(record)
        warn_once_a_minute("test", "Lost")

    handlers.append(_Calling(come_back))
    warn_once_a_minute("test", "Lost")
    assert 1 == len(asked)


def test_many_threads_make_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """However many threads fail at once, there is one line."""
    start = threading.Barrier(8)

    def fail() -> None:
        start.wait()
        for _ in range(100):
            warn_once_a_minute("test", "Lost")

    threads = [threading.Thread(target=fail) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ["Lost"] == caplog.messages


@pytest.mark.usefixtures("untraced")
def test_a_signal_handler_may_log_at_any_moment() -> None:
    """A handler that interrupts the gate in its own thread neither waits nor fails."""
    handled = []

    def handle(*_: object) -> None:
        handled.append(1)
        warn_once_a_minute(f"signal-{len(handled) % 3}", "Interrupted")

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        for number in range(20_000):
            warn_once_a_minute(f"signal-{number % 3}", "Lost")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert handled


def test_a_forks_child_has_its_own_minute(caplog: pytest.LogCaptureFixture) -> None:
    """The child's first failure is logged, whatever the parent has logged just before."""
    warn_once_a_minute("test", "Lost")

    def child() -> str:
        warn_once_a_minute("test", "Lost in the child")
        return caplog.messages[-1]

    assert "Lost in the child" == in_child(child)
    assert ["Lost"] == caplog.messages


def test_nothing_is_logged_when_the_interpreter_is_leaving(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """After everything has been closed the logger is left alone."""
    monkeypatch.setattr(exiting, "_over", [True])
    warn_once_a_minute("test", "Lost")
    assert [] == caplog.messages
