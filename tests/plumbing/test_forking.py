"""State that belongs to one process."""

from __future__ import annotations

import os
import threading

import pytest

from handlebar._plumbing.forking import PerProcess
from tests.support.forks import in_child


def test_the_value_is_made_on_first_use_and_kept() -> None:
    """Constructing makes nothing; every later look-up gives the same object."""
    made: list[object] = []

    def make() -> object:
        made.append(object())
        return made[-1]

    holder = PerProcess(make)
    assert holder.peek() is None
    assert [] == made
    assert holder.get() is holder.get()
    assert 1 == len(made)


def test_a_child_gets_a_value_of_its_own() -> None:
    """After a fork nothing of the parent's state is left, and the parent keeps its own."""
    holder: PerProcess[list[int]] = PerProcess(list)
    holder.get().append(os.getpid())

    def child() -> str:
        empty = holder.peek() is None
        return f"{empty} {holder.get()}"

    assert "True []" == in_child(child)
    assert [os.getpid()] == holder.get()


def test_a_fork_that_runs_no_hooks_is_noticed_by_the_process_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where fork is called from C (uWSGI), the key alone keeps parent and child apart."""
    holder: PerProcess[list[int]] = PerProcess(list)
    holder.get().append(1)
    monkeypatch.setattr(os, "getpid", lambda: 4242)
    assert [] == holder.get()


def test_a_new_kind_of_lock_means_new_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """When gevent replaces `threading`, state with the old locks is not used again."""
    holder: PerProcess[list[int]] = PerProcess(list)
    holder.get().append(1)
    monkeypatch.setattr(threading, "Lock", lambda: None)
    assert [] == holder.get()
