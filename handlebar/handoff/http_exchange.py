"""The hand-off API over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

from handlebar._plumbing.clock import Deadline
from handlebar._plumbing.http_lines import OpenResponse, Request
from handlebar._plumbing.retry import parse_retry_after
from handlebar._plumbing.transport import Transport, was_refused
from handlebar.errors import RefusedError, UnreachableError
from handlebar.handoff.exchange import Answer, Call, StreamEvent
from handlebar.handoff.server_sent_events import events_in

PREFIX = "/api/v1"

SILENCE_SECONDS = 90.0
"""A stream that says nothing for so long is dead: servers send a sign of life every 30 seconds."""


class HttpExchange:
    """
    Implements `Exchange` over HTTP; lives as long as its client.

    Thread-safe and fork-safe.

    Args:
        root: The server's URL, without `/api/v1`.

        api_key: Sent as `x-api-key`; for streams in the URL, where the API wants it.

        timeout: Seconds to wait for each piece of an answer, and for a stream to begin.

        session: A `requests.Session` whose settings are used.
    """

    def __init__(self, root: str, api_key: str, *, timeout: float, session: Any = None) -> None:
        self._api_key = api_key
        self._timeout = timeout
        self._transport = Transport(root, {"accept": "application/json"}, read_timeout=timeout, session=session)

    def send(self, call: Call, *, deadline: Deadline) -> Answer:
        """Send, as `Exchange` says; the reason is `refused` where nobody listened."""
        kind = {} if call.body is None else {"content-type": "application/json"}
        request = Request(
            call.method,
            f"{PREFIX}/{'/'.join(quote(each, safe='') for each in call.path)}{_query(call.query)}",
            call.body or b"",
            {**kind, "x-api-key": self._api_key, **call.headers},
            repeatable=call.method != "POST",
        )
        try:
            answer = self._transport.send(request, deadline=deadline)
        except UnreachableError as error:
            raise _told(error) from error.__cause__
        return Answer(answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.body)

    def listen(self, channels: tuple[str, ...], *, after: str | None) -> Iterator[StreamEvent]:
        """Listen, as `Exchange` says; the iterator may be closed from any thread."""
        query = (("api_key", self._api_key), *(("subscribe", channel) for channel in channels))
        seen = {} if after is None else {"last-event-id": after}
        request = Request("GET", f"/events{_query(query)}", b"", {"accept": "text/event-stream", **seen})
        deadline = Deadline.after(self._timeout)
        try:
            answer = self._transport.open(request, deadline=deadline, silence=SILENCE_SECONDS)
        except UnreachableError as error:
            raise _told(error) from error.__cause__
        if _is_stream(answer):
            return _Listening(answer)
        answer.close()
        raise _refused(answer)

    def close(self) -> None:
        """Close this process's connections."""
        self._transport.close()


class _Listening(Iterator[StreamEvent]):
    """The events of one open answer."""

    def __init__(self, answer: OpenResponse) -> None:
        self._events = events_in(answer.pieces)
        self.close = answer.close

    def __next__(self) -> StreamEvent:
        try:
            return next(self._events)
        except ValueError as error:
            raise UnreachableError(f"The stream cannot be read: {error}", reason="network") from error


def _query(parameters: tuple[tuple[str, str], ...]) -> str:
    return f"?{urlencode(parameters)}" if parameters else ""


def _told(error: UnreachableError) -> UnreachableError:
    """Return *error* with the reason `refused` where that is what happened."""
    return UnreachableError(str(error), reason="refused") if was_refused(error) else error


def _is_stream(answer: OpenResponse) -> bool:
    return answer.status == 200 and answer.headers.get("content-type", "").startswith("text/event-stream")


def _refused(answer: OpenResponse) -> RefusedError:
    return RefusedError(
        f"The server answered {answer.status} to a listener, and no stream of events",
        status=answer.status,
        retry_after=parse_retry_after(answer.headers.get("retry-after")),
    )
