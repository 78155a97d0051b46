"""Waiting for what another thread does, with an end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


def eventually(holds: Callable[[], bool], *, seconds: float = 10.0) -> bool:
    """Whether *holds* comes to hold within *seconds*."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def threads_named(prefix: str) -> list[threading.Thread]:
    """Return the living threads whose names begin with *prefix*."""
    return [thread for thread in threading.enumerate() if thread.name.startswith(prefix)]
