"""Names that are looked up within a time limit."""

from __future__ import annotations

import socket
import threading

import pytest

from handlebar._plumbing import time_limits
from handlebar._plumbing.daemon_threads import DaemonThreads
from handlebar._plumbing.resolving import resolved


def test_a_name() -> None:
    """Its addresses, as the system knows them."""
    assert {"127.0.0.1", "::1"} & set(resolved("localhost", 80))


def test_a_name_that_nobody_answers_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The look-up is left behind when its time is over."""
    answered = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answered.wait(60))
    with pytest.raises(TimeoutError, match="longer than"):
        resolved("plane.example", 80, seconds=0.05)
    answered.set()


def test_a_name_at_the_exit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no thread can be started any more, it is looked up all the same."""
    monkeypatch.setattr(time_limits, "HOOK_THREADS", DaemonThreads("t-none", most=0))
    assert resolved("localhost", 80)
