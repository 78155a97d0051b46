"""Names looked up and answers read by the deadline of their call, however slow they are; requests in one piece."""

from __future__ import annotations

import http.client
import io
import socket
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import cache, partial
from ipaddress import ip_address
from typing import Any

from attrs import define, frozen
from urllib3.connection import HTTPConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from handlebar._plumbing.clock import Deadline
from handlebar._plumbing.resolving import resolved


@define
class Call:
    """One request under way, as the connection that carries it needs to know it."""

    deadline: Deadline
    read_timeout: float
    reused: bool = False
    sock: Any = None

    def patience(self) -> float:
        """Return how long the next piece of the answer may take."""
        remaining = self.deadline.remaining()
        if not remaining:
            raise TimeoutError("the time for the whole call is over")
        return min(self.read_timeout, remaining)

    def cut(self) -> None:
        """End the answer for whoever reads it, in whichever thread."""
        try:
            # Not the method of SSLSocket: that one pulls TLS from under the thread that reads.
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)
        except (OSError, TypeError):
            pass  # it is over already, or has not begun


current_call: ContextVar[Call] = ContextVar("handlebar_http_call")
"""The call that this thread makes just now: urllib3 has no way to hand it down to a connection."""


class _BoundedReader(io.RawIOBase):
    """Reads a socket within the deadline of one call, however slowly the pieces come."""

    def __init__(self, sock: Any, call: Call) -> None:
        self._sock = sock
        self._call = call
        # The socket's own file keeps it open until the answer is read, even where the connection is closed first.
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._call.patience())
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


@frozen
class _BoundedSocket:
    """What `http.client.HTTPResponse` needs of a socket: a file to read from."""

    sock: Any
    call: Call

    def makefile(self, mode: str) -> io.BufferedReader:
        self.call.sock = self.sock
        return io.BufferedReader(_BoundedReader(self.sock, self.call))


class _BoundedConnection:
    """
    Mixed into a connection class of urllib3: a request is one write, its answer is read by the call's deadline.

    So is the name looked up before: the system, which urllib3 would ask, takes ten seconds and more where no name
    server answers.
    """

    sock: Any
    port: int
    timeout: Any
    _dns_host: str
    _held: list[bytes] | None = None

    def request(self, *args: Any, **kwargs: Any) -> None:
        call = current_call.get(None)
        if call is not None:
            call.reused = self.sock is not None
        self._in_one_piece(super().request, *args, **kwargs)  # type: ignore[misc]  # the other base has it

    def ask(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], *, timeout: float
    ) -> http.client.HTTPResponse:
        """
        Make a request over the connection, which has to be open; for the thread that has taken it out of its pool.

        Past urllib3, which takes as long for it as `http.client` and the socket together.
        """
        current_call.get().reused = True
        self.sock.settimeout(timeout)
        connection: Any = self
        self._in_one_piece(partial(http.client.HTTPConnection.request, connection), method, path, body, headers)
        return http.client.HTTPConnection.getresponse(connection)

    def _in_one_piece(self, request: Callable[..., None], *args: Any, **kwargs: Any) -> None:
        held: list[bytes] = []
        self._held = held
        try:
            request(*args, **kwargs)
        finally:
            self._held = None
        self.send(b"".join(held))

    def send(self, data: Any) -> None:
        """Hold back what belongs to a request: written apart, head and body take twice the time."""
        if self._held is None:
            super().send(data)  # type: ignore[misc]  # as above
        else:
            self._held.append(data)

    def _new_conn(self) -> Any:
        call, connect = current_call.get(None), super()._new_conn  # type: ignore[misc]  # as above
        # Through SOCKS, the proxy looks the name up.
        if call is None or _is_address(self._dns_host) or connect.__func__ is not HTTPConnection._new_conn:
            return connect()
        name, limit = self._dns_host, self.timeout
        try:
            *others, last = resolved(name, self.port, seconds=min(limit, call.patience()))
            for self._dns_host in others:
                self.timeout = min(limit, call.patience())
                try:
                    return connect()
                except (NewConnectionError, ConnectTimeoutError):
                    pass  # the next address may let us in
            self._dns_host, self.timeout = last, min(limit, call.patience())
            return connect()
        finally:
            # Certificates are for the name.
            self._dns_host, self.timeout = name, limit

    @staticmethod
    def response_class(sock: Any, *args: Any, **kwargs: Any) -> http.client.HTTPResponse:
        call = current_call.get(None)
        readable: Any = sock if call is None else _BoundedSocket(sock, call)
        return http.client.HTTPResponse(readable, *args, **kwargs)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


@cache
def bounded(connection: type) -> type:
    """Return the connection class with answers read by deadline."""
    return type(f"Bounded{connection.__name__}", (_BoundedConnection, connection), {})
