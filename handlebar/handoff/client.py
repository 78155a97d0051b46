"""The client of the hand-off API."""

from __future__ import annotations

import os
import warnings
import weakref
from typing import Any, TypeVar

from handlebar.handoff.administration_calls import AdministrationCalls
from handlebar.handoff.asking import Words, several
from handlebar.handoff.batch_calls import BatchCalls
from handlebar.handoff.calling import Caller
from handlebar.handoff.endpoints import open_exchange
from handlebar.handoff.exceptions import invalid
from handlebar.handoff.packet_calls import PacketCalls
from handlebar.handoff.persistence import Persistence
from handlebar.handoff.streaming import EventStream, stream_policy
from handlebar.handoff.webhook_calls import WebhookCalls

C = TypeVar("C", bound="HandoffRailClient")


class HandoffRailClient(PacketCalls, BatchCalls, WebhookCalls, AdministrationCalls):
    """
    Hands over, and takes over; lives until `close`, or as long as a `with` block.

    Thread-safe and fork-safe: connections are made on first use, in each process its own. GET, DELETE and PATCH are
    made again on network errors, time limits, 502, 503 and 504; a POST only where nothing can happen twice: where
    nobody listened, or the server is known to recognise the idempotency key that every POST carries. A 429 is
    waited for as the server asks. Every method raises `HandoffRailError` and nothing else; a bad argument raises
    its kind `ValidationError` before anything is sent.

    Args:
        base_url: The server, with or without `/api/v1`; or a database, which is then used in this process.

        api_key: The key, `hr_…`; not needed for a database.

        timeout: Seconds for one attempt.

        max_retries: How many further attempts may follow the first.

        retry_delay: Seconds to wait before the first of them; each further wait is twice as long.

        total_timeout: Seconds for a call with all its attempts; None for as long as they can take.

        session: A `requests.Session` whose proxies, certificates, headers and adapters are used.

    Raises:
        ValidationError: An argument is not what it should be.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        timeout: float = 30.0,
        max_retries: int = 3,
        retry_delay: float = 0.5,
        *,
        total_timeout: float | None = None,
        session: Any = None,
    ) -> None:
        self.timeout = _seconds("timeout", timeout)
        self.max_retries = _count("max_retries", max_retries)
        self.retry_delay = _seconds("retry_delay", retry_delay, least=0)
        total = None if total_timeout is None else _seconds("total_timeout", total_timeout)
        exchange = open_exchange(base_url, api_key, timeout=timeout, session=session)
        self.base_url = base_url
        self._home = os.getpid()
        self._streams: weakref.WeakSet[EventStream] = weakref.WeakSet()
        self._caller = Caller(exchange, Persistence(timeout, max_retries, retry_delay, total))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __enter__(self: C) -> C:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __del__(self) -> None:
        # One that was never finished, or used, or that a fork's parent holds, has left nothing open here.
        caller = getattr(self, "_caller", None)
        if caller is not None and caller.used and not caller.closed and os.getpid() == self._home:
            warnings.warn(f"{self!r} was left open; call close() or use it in a with block", ResourceWarning, 2, self)

    def close(self) -> None:
        """End what waits, and let go of connections; may be called twice."""
        self._caller.close()
        for stream in list(self._streams):
            stream.close()

    def stream_events(self, channels: Words | None = None) -> EventStream:
        """
        Return an iterator over events as they happen, which connects again where it is cut off.

        Args:
            channels: `packet:<id>`, `agent:<id>`, `status:<status>`; any of them. Everything where it is None.
        """
        self._caller.check_open()
        policy = stream_policy(self.max_retries, self.retry_delay)
        stream = EventStream(self._caller, several("channels", channels), policy)
        self._streams.add(stream)
        return stream


def _seconds(field: str, value: object, *, least: float = 0.001) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not least <= value < float("inf"):
        raise invalid(field, f"needs a number of seconds, at least {least:g}")
    return value


def _count(field: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise invalid(field, "needs a whole number of at least 0")
    return value
