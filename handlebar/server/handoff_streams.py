"""
The stream of hand-off events over HTTP: server-sent events at `/events`, for a key, of its tenant.

Each listener takes a thread of the server for as long as it listens; so there may be but a few in each process, and the
next one is told to come back. A server that has one thread a process would do nothing else: there a listener has to
come back every few seconds, which loses nothing, because it names the last event that it has seen.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from flask import Flask, Response, request

from handlebar._plumbing.forking import PerProcess
from handlebar.control.database import Database
from handlebar.control.handoffs.api import refusal
from handlebar.control.handoffs.streams import Stream
from handlebar.errors import UnreachableError
from handlebar.server.access import Access, secret_in

MOST_LISTENERS = 8
"""In each process; half of the threads that `handlebar serve` has."""

LONGEST_SECONDS = 3600.0
SHORT_SECONDS = 10.0
"""How long one may listen where the server has one thread."""

_KIND = "text/event-stream"
_HEADERS = {"x-accel-buffering": "no"}
_LATER = {"retry-after": "5"}


class Listeners:
    """Counts who listens in each process; lives as long as the app, thread-safe and fork-safe."""

    def __init__(self, most: int = MOST_LISTENERS) -> None:
        self._free = PerProcess(lambda: threading.BoundedSemaphore(most))

    def enter(self) -> Callable[[], None] | None:
        """Take a place; return what gives it back, None where there is none."""
        free = self._free.get()
        return free.release if free.acquire(blocking=False) else None


def add_streams(app: Flask, database: Database, access: Access, listeners: Listeners | None = None) -> None:
    """Let *app* stream events."""
    places = listeners or Listeners()

    def view() -> Response:
        secret = secret_in(request) or request.args.get("api_key", "")
        try:
            key = access.key(secret)
        except UnreachableError:
            return _refused(503, "The database cannot be used now; try again", **_LATER)
        if key is None:
            return _refused(401, "Send an API key that is valid, as X-API-Key or in the query as api_key")
        if request.method == "HEAD":
            return Response(mimetype=_KIND, headers=_HEADERS)
        leave = places.enter()
        if leave is None:
            return _refused(503, "Too many listen here already; come back later", **_LATER)
        return _response(_stream(database, key.tenant, lambda: access.key(secret) is not None), leave)

    app.add_url_rule("/events", "handoff events", view, methods=["GET"], provide_automatic_options=False)


def _stream(database: Database, tenant: str, has_key: Callable[[], bool]) -> Stream:
    seconds = LONGEST_SECONDS if request.environ.get("wsgi.multithread") else SHORT_SECONDS
    after = request.headers.get("last-event-id")
    channels = request.args.getlist("subscribe")
    return Stream(database, tenant, channels, after=after, goes_on=has_key, seconds=seconds)


def _response(stream: Stream, leave: Callable[[], None]) -> Response:
    response = Response(_frames(stream), mimetype=_KIND, headers=_HEADERS)
    response.call_on_close(leave)
    return response


def _frames(stream: Stream) -> Iterator[bytes]:
    """Yield the stream's events as they are written; where the database cannot be read it ends, and they come back."""
    try:
        yield b"retry: 1000\n"
        for event in stream:
            yield f"id: {event.id}\nevent: {event.name}\ndata: {event.data}\n\n".encode()
    except UnreachableError:
        return


def _refused(status: int, detail: str, **headers: str) -> Response:
    answer = refusal(status, detail)
    return Response(answer.body, answer.status, headers={**answer.headers, **headers})
