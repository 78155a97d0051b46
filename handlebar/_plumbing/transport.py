"""
HTTP requests over kept-alive connections, each with a deadline for the whole of it.

The connections are those of a `requests.Session`'s adapters, so its proxies, certificates and adapters are
honoured; what requests does for each call (merging settings, looking at the environment, preparing) is done
once a process here. Errors never hold a URL, a header or a body.
"""

from __future__ import annotations

import http.client
import os
from collections.abc import Mapping
from typing import Any

import requests
import urllib3
from attrs import field, frozen

from handlebar._plumbing.bounded_reading import Call, current_call
from handlebar._plumbing.clock import Deadline
from handlebar._plumbing.forking import PerProcess
from handlebar._plumbing.http_lines import Line, Request, Response, open_line
from handlebar.errors import UnreachableError

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
        call = Call(deadline, self.read_timeout)
        token = current_call.set(call)
        try:
            return self._send_once_more_if_stale(request, call)
        except _FAILURES as error:
            raise _unreachable(error, deadline) from error
        finally:
            current_call.reset(token)

    def close(self) -> None:
        """Close the connections of this process; a later request opens new ones."""
        line = self._line.peek()
        if line is not None:
            self._line.forget()
            line.close()

    def _send_once_more_if_stale(self, request: Request, call: Call) -> Response:
        """Send; once more at once where the server had closed the kept-alive connection meanwhile."""
        try:
            return self._send(request, call)
        except _FAILURES as error:
            if not (call.reused and isinstance(_cause(error), _STALE)):
                raise
        return self._send(request, call)

    def _send(self, request: Request, call: Call) -> Response:
        patience = call.patience()
        connect_timeout = min(self.connect_timeout, patience)
        return self._line.get().send(request, connect_timeout=connect_timeout, read_timeout=patience)


def _unreachable(error: Exception, deadline: Deadline) -> UnreachableError:
    cause = _cause(error)
    if isinstance(cause, (TimeoutError, urllib3.exceptions.TimeoutError)) or deadline.passed:
        return UnreachableError("The server did not answer in time", reason="timeout")
    reason = "tls" if type(cause).__module__ == "ssl" else "network"
    return UnreachableError(f"No answer came from the server ({type(cause).__name__})", reason=reason)


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
