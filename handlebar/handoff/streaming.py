"""The stream of events, which lives on while connections come and go."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from handlebar._plumbing import safe_json
from handlebar._plumbing.retry import RetryPolicy
from handlebar.errors import RefusedError, UnreachableError
from handlebar.handoff.answers import error_of, record_in, unanswered
from handlebar.handoff.calling import Caller
from handlebar.handoff.exceptions import HandoffRailError
from handlebar.handoff.exchange import Answer, Call, StreamEvent
from handlebar.handoff.models import PacketStreamEvent

_SIGNS_OF_LIFE = ("connected", "ping")
_LONGEST_WAIT = 30.0
_PASSING = (429, 500, 502, 503, 504)


class EventStream(Iterator[PacketStreamEvent]):
    """
    Yields events as they happen; lives until it is closed, or its client is.

    Where the connection breaks it connects again, for as long as it takes, once it has been connected; what was
    missed is asked for. It may be closed from any thread; one thread at a time may wait for the next event.
    """

    def __init__(self, caller: Caller, channels: tuple[str, ...], policy: RetryPolicy) -> None:
        self._caller = caller
        self._channels = channels
        self._policy = policy
        self._closed = threading.Event()
        self._source: Iterator[StreamEvent] | None = None
        self._seen: str | None = None
        self._connected = False
        self._failures = 0

    def __enter__(self) -> EventStream:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __iter__(self) -> EventStream:
        return self

    def __next__(self) -> PacketStreamEvent:
        """
        Wait for the next event.

        Raises:
            HandoffRailError: The server refuses, or was never reached.
        """
        while not self._over:
            event = self._next_of_source()
            if event is not None and event.name not in _SIGNS_OF_LIFE:
                return _read(event)
        self.close()
        raise StopIteration

    def close(self) -> None:
        """End the stream, for whoever waits too; may be called twice."""
        self._closed.set()
        self._drop()

    @property
    def _over(self) -> bool:
        return self._closed.is_set() or self._caller.closed

    def _next_of_source(self) -> StreamEvent | None:
        """Return what comes next; None where the connection has to be made again."""
        try:
            source = self._source or self._connect()
            event = next(source, None)
        except UnreachableError as error:
            self._wait(unanswered(error), asked=None)
            return None
        except RefusedError as error:
            self._wait(_refusal(error), asked=error.retry_after)
            return None
        if event is None:
            self._drop()
            self._pause()
        else:
            self._failures = 0
            self._seen = event.id or self._seen
        return event

    def _connect(self) -> Iterator[StreamEvent]:
        source = self._caller.exchange.listen(self._channels, after=self._seen)
        self._source = source
        self._connected = True
        if self._over:  # closed meanwhile, by somebody who did not see this source
            self._drop()
            return iter(())
        return source

    def _wait(self, error: HandoffRailError, *, asked: float | None) -> None:
        """Wait before the next connection, or raise *error* where there is to be none."""
        self._drop()
        passing = error.status_code is None or error.status_code in _PASSING
        if self._over:
            return
        if not passing or not (self._connected or self._policy.allows(self._failures)):
            self.close()
            raise error
        self._pause(asked)

    def _pause(self, asked: float | None = None) -> None:
        self._closed.wait(self._policy.delay(self._failures, asked))
        self._failures += 1

    def _drop(self) -> None:
        source, self._source = self._source, None
        try:
            getattr(source, "close", bool)()
        except ValueError:
            pass  # a generator that another thread waits in; it ends with the next sign of life


def stream_policy(retries: int, delay: float) -> RetryPolicy:
    """Return how a stream connects again."""
    return RetryPolicy(retries=retries, base=delay, cap=max(_LONGEST_WAIT, delay))


def _read(event: StreamEvent) -> PacketStreamEvent:
    return record_in(Answer(200, {}, event.data.encode("utf-8", "replace")), PacketStreamEvent)


def _refusal(error: RefusedError) -> HandoffRailError:
    words = safe_json.encode({"detail": str(error)}).encode()
    return error_of(Call(method="GET", path=("events",)), Answer(error.status, {}, words))
