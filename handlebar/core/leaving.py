"""Leaving on SIGTERM as a program leaves that has come to its end."""

from __future__ import annotations

import signal
import sys
from types import FrameType


def install_signal_handlers() -> None:
    """
    Let SIGTERM end the process as `sys.exit` does: runs end as `interrupted`, and what is queued is delivered.

    Without this SIGTERM kills a plain script, or Django's development server, where it stands. Call it in the main
    thread. Where somebody handles SIGTERM already, as web servers do, nothing is changed.

    Raises:
        ValueError: It was not called in the main thread.
    """
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _leave)


def _leave(number: int, frame: FrameType | None) -> None:
    # As a shell tells of a process that a signal has ended.
    sys.exit(128 + number)
