"""The end of the process: what is still open then is closed."""

from __future__ import annotations

import atexit
import os
from typing import Protocol
from weakref import WeakValueDictionary


class Closable(Protocol):
    """What has to be closed before the process ends, and keeps to a time limit of its own."""

    def close_soon(self) -> None:
        """Begin to close; do not wait."""
        ...

    def close(self) -> None:
        """Close; wait until that is done or the time limit is over."""
        ...


# By process: the parent's would make a child of a fork wait at its exit for threads that it does not have.
_open: dict[int, WeakValueDictionary[int, Closable]] = {}
_over: list[bool] = []


def close_at_exit(closable: Closable) -> None:
    """Close *closable* when the interpreter exits, if it still exists then."""
    _open.setdefault(os.getpid(), WeakValueDictionary())[id(closable)] = closable


def is_over() -> bool:
    """Whether everything has been closed: no thread may be started any more, and nobody will send what comes."""
    return bool(_over)


def _close_all() -> None:
    """Let all close at the same time, so that those who must wait wait together."""
    mine = _open.get(os.getpid(), WeakValueDictionary())
    everyone = [closable for ref in mine.valuerefs() if (closable := ref()) is not None]
    try:
        for closable in everyone:
            closable.close_soon()
        for closable in everyone:
            closable.close()
    except BaseException:  # Ctrl-C, or a signal handler that exits: whoever waits for the end is tired of it
        pass
    finally:
        _over.append(True)


# Registered on import, before the application's own handlers: those run first, and may still emit.
atexit.register(_close_all)
