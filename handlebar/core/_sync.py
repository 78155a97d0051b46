"""A name that published adapters import: run a coroutine from blocking code."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from handlebar._plumbing.awaiting import settle

T = TypeVar("T")


def run_sync(coro: Coroutine[Any, Any, T]) -> T:
    """Run *coro* to its end and return its result, whether or not a loop is running in this thread."""
    result: T = settle(coro)
    return result
