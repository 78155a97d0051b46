"""
HTTP requests over kept-alive connections, each with a deadline for the whole of it.

The connections are those of a `requests.Session`'s adapters, so its proxies, certificates and adapters are
honoured; what requests does for each call (merging settings, looking at the environment, preparing) is done
once a process here. Errors never hold a URL, a header or a body.
"""

from __future__ import annotations

import http.client
import os
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import requests
import urllib3
from attrs import field, frozen

from handlebar._plumbing.bounded_reading import Call, current_call
from handlebar._plumbing.clock import Deadline
from handlebar._plumbing.forking import PerProcess
from handlebar._plumbing.http_lines import Line, OpenResponse, Request, Response, open_line
from handlebar.errors import UnreachableError

A = TypeVar("A", Response, OpenResponse)

_STALE = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError, ConnectionAbortedError)
_FAILURES = (urllib3.exceptions.HTTPError, requests.RequestException, http.client.HTTPException, OSError, ValueError)


@frozen
class Transport:
    """
    Sends requests to one server; lives as long as its control plane.

    Thread-safe and fork-safe: connections are made on first use, in each process its own.

    Attributes:
        base_url: What every path is appended to.

        headers: What every request carries.

        connect_timeout: Seconds to wait for a connection.

        read_timeout: Seconds to wait for each piece of an answer.

        session: Whose settings to use; None for requests' usual ones.
    """

    base_url: str
    headers: Mapping[str, str] = field(repr=False)
    connect_timeout: float = 5.0
    read_timeout: float = 10.0
    session: Any = field(default=None, repr=False)
    _line: PerProcess[Line] = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        home = os.getpid()
        line = PerProcess(lambda: open_line(self.base_url, self.headers, self.session, after_fork=os.getpid() != home))
        object.__setattr__(self, "_line", line)

    def send(self, request: Request, *, deadline: Deadline) -> Response:
        """
        Make one request and return the answer, whatever its status; redirects are not followed.

        Raises:
            UnreachableError: No whole answer of at most 8 MiB came by the *deadline*. Its reason is `timeout`,
                `tls` or `network`.
        """
        return self._make(request, Call(deadline, self.read_timeout), lambda line: line.send)

    def open(self, request: Request, *, deadline: Deadline, silence: float) -> OpenResponse:
        """
        Make one request by the *deadline*, and leave its answer open however long it lasts.

        Args:
            request: The request.

            deadline: When the answer has to begin.

            silence: Seconds to wait for each piece of the body.

        Raises:
            UnreachableError: As in `send`; the pieces raise it too.
        """
        call = Call(deadline, self.read_timeout)
        answer = self._make(request, call, lambda line: line.open)
        call.deadline, call.read_timeout = Deadline(float("inf")), silence

        pieces = _told(answer, call)

        def close() -> None:
            call.cut()
            try:
                pieces.close()
            except ValueError:
                return  # another thread reads just now: it finds the end, and closes
            answer.close()

        return OpenResponse(answer.status, answer.headers, pieces, close)

    def close(self) -> None:
        """Close the connections of this process; a later request opens new ones."""
        line = self._line.peek()
        if line is not None:
            self._line.forget()
            line.close()

    def _make(self, request: Request, call: Call, way: Callable[[Line], Callable[..., A]]) -> A:
        token = current_call.set(call)
        try:
            with _telling(call):
                return self._once_more_if_stale(request, call, way)
        finally:
            current_call.reset(token)

    def _once_more_if_stale(self, request: Request, call: Call, way: Callable[[Line], Callable[..., A]]) -> A:
        """Send; once more at once where the server had closed the kept-alive connection meanwhile."""
        try:
            return self._once(request, call, way)
        except _FAILURES as error:
            if not (request.repeatable and call.reused and isinstance(_cause(error), _STALE)):
                raise
        return self._once(request, call, way)

    def _once(self, request: Request, call: Call, way: Callable[[Line], Callable[..., A]]) -> A:
        patience = call.patience()
        connect_timeout = min(self.connect_timeout, patience)
        return way(self._line.get())(request, connect_timeout=connect_timeout, read_timeout=patience)


def was_refused(error: UnreachableError) -> bool:
    """Whether nobody listened, so that nothing can have been sent."""
    return isinstance(_cause(error), ConnectionRefusedError)


@contextmanager
def _telling(call: Call) -> Iterator[None]:
    """Turn whatever goes wrong inside the block into one error."""
    try:
        yield
    except _FAILURES as error:
        raise _unreachable(error, call.deadline) from error


def _told(answer: OpenResponse, call: Call) -> Generator[bytes, None, None]:
    with _telling(call):
        try:
            yield from answer.pieces
        finally:
            answer.close()


def _unreachable(error: Exception, deadline: Deadline) -> UnreachableError:
    cause = _cause(error)
    if isinstance(cause, (TimeoutError, urllib3.exceptions.TimeoutError)) or deadline.passed:
        return UnreachableError("The server did not answer in time", reason="timeout")
    reason = "tls" if type(cause).__module__ == "ssl" else "network"
    return UnreachableError(
        f"No answer came from the server ({type(cause).__name__}); check the endpoint, and whether the server runs",
        reason=reason,
    )


def _cause(error: BaseException) -> BaseException:
    """Return the first cause of *error* that the operating system or http.client has raised."""
    seen: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in seen:
        seen.append(current)
        if isinstance(current, (OSError, http.client.HTTPException)) and not _is_wrapper(current):
            return current
        current = current.__cause__ or current.__context__
    return seen[0]


def _is_wrapper(error: BaseException) -> bool:
    """Whether *error* is requests' or urllib3's word for something that went wrong below."""
    return isinstance(error, (requests.RequestException, urllib3.exceptions.HTTPError)) and (
        error.__cause__ is not None or error.__context__ is not None
    )
