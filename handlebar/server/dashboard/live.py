"""Pages that keep themselves up to date: a stream of server-sent events says when there is something new."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

from flask import Response

MOST_STREAMS = 6
"""So many at once in a process: each holds one of its threads. Whoever comes later has a page that stands still."""

SECONDS = 25.0
"""After so long a stream ends, and the browser opens the next: no thread is held by somebody who went away."""

_PAUSE_SECONDS = 1.0
_places = threading.BoundedSemaphore(MOST_STREAMS)


def watching(mark: Callable[[], object], *, is_over: Callable[[], bool] = lambda: False) -> Response:
    """
    Return a stream that says `changed` whenever *mark* gives another value, and `over` when nothing more will come.

    Args:
        mark: Gives a value that is another when there is something new; asked every second.

        is_over: Whether nothing will ever change any more.
    """
    if not _places.acquire(blocking=False):
        return Response(status=204)
    stream = Response(_events(mark, is_over), mimetype="text/event-stream")
    # By the server, when the stream has ended or the browser has gone, whichever way.
    stream.call_on_close(_places.release)
    return stream


def _events(mark: Callable[[], object], is_over: Callable[[], bool]) -> Iterator[str]:
    until = time.monotonic() + SECONDS
    before = mark()
    yield "retry: 1000\n\n"
    while time.monotonic() < until:
        now = mark()
        if now != before:
            before = now
            yield "event: changed\ndata: 1\n\n"
        if is_over():
            # What came last may still be on its way here.
            time.sleep(2 * _PAUSE_SECONDS)
            yield "event: changed\ndata: 1\n\nevent: over\ndata: 1\n\n"
            return
        time.sleep(_PAUSE_SECONDS)
        # Writing to a browser that has gone is how we learn that it has.
        yield ": \n\n"
