"""Real forks, with what the child has to say."""

from __future__ import annotations

import os
import select
import signal
import threading
import traceback
import warnings
from collections.abc import Callable

from tests.support.tracing import untraced


def in_child(work: Callable[[], str], *, seconds: float = 30.0) -> str:
    """
    Run *work* in a forked child and return what it says.

    Raises:
        AssertionError: The child raised, said nothing, or was not done after *seconds*; it is then killed.
    """
    reader, writer = os.pipe()
    with untraced(), warnings.catch_warnings():
        # Forking while threads run is what these tests are about.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
        if child == 0:
            _report(work, writer)
    os.close(writer)
    try:
        return _told(reader, child, seconds)
    finally:
        os.close(reader)
        os.waitpid(child, 0)


def _report(work: Callable[[], str], writer: int) -> None:
    """Say what *work* returns, or how it failed, and leave without any of the parent's exit handlers."""
    threading.settrace(None)  # type: ignore[arg-type]  # the stubs forget None
    try:
        said = "+" + work()
    except BaseException:
        said = "-" + traceback.format_exc()
    os.write(writer, said.encode())
    os._exit(0)


def _told(reader: int, child: int, seconds: float) -> str:
    said = b""
    while select.select([reader], [], [], seconds)[0]:
        part = os.read(reader, 65536)
        if not part:
            break
        said += part
    else:
        os.kill(child, signal.SIGKILL)
    text = said.decode()
    assert text.startswith("+"), f"the child failed: {text[1:] or 'it said nothing in time'}"
    return text[1:]
