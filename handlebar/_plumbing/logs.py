"""The `handlebar` logger, at most one line a reason a minute."""

from __future__ import annotations

import logging
import threading

from handlebar._plumbing import exiting
from handlebar._plumbing.clock import monotonic
from handlebar._plumbing.forking import PerProcess

QUIET_SECONDS = 60.0
"""After a line, the same reason is not logged again for so long."""

logger = logging.getLogger("handlebar")


class _Gate:
    """Lets one line a minute through; counts what it holds back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._quiet_until = 0.0
        self._held_back = 0

    def try_pass(self) -> str | None:
        """Return what to add to the line, None where it is held back."""
        # Never waits: a signal handler may have interrupted this very thread here.
        if not self._lock.acquire(blocking=False):
            return None
        try:
            return self._pass()
        finally:
            self._lock.release()

    def _pass(self) -> str | None:
        now = monotonic()
        if now < self._quiet_until:
            self._held_back += 1
            return None
        held_back, self._held_back = self._held_back, 0
        self._quiet_until = now + QUIET_SECONDS
        return f" (and {held_back} more times since the last such line)" if held_back else ""


_gates: PerProcess[dict[str, _Gate]] = PerProcess(dict)


def warn_once_a_minute(reason: str, message: str, *values: object) -> None:
    """
    Log *message* as a warning, unless one was logged for the same *reason* within the last minute.

    Thread-safe, never waits for a lock of ours, and never raises an Exception. A logging handler that comes
    back here is stopped by the limit.

    Args:
        reason: What the limit goes by; one of a bounded number of texts.

        message: The line. No secrets, no content of messages.

        values: What goes into its `%` places.
    """
    more = None if exiting.is_over() else _gates.get().setdefault(reason, _Gate()).try_pass()
    if more is not None:
        warn(message + "%s", *values, more)


def warn(message: str, *values: object) -> None:
    """
    Log *message* as a warning; never raises an Exception.

    For what comes no more often than a person does something; anything else is for `warn_once_a_minute`.
    """
    # A daemon thread that writes to stderr while the interpreter goes away can crash it.
    if exiting.is_over():
        return
    try:
        logger.warning(message, *values)
    except Exception:  # a handler of the application's is broken: that must not break the agent as well
        pass
