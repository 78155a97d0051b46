"""Work that no coverage tracer may look at."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def untraced() -> Iterator[None]:
    """
    Switch this thread's tracer off inside the block.

    A tracer has locks of its own: a fork's child would inherit them, and a signal handler that raises would leave
    them held for ever.
    """
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(tracer)
