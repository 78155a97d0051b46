"""Answers read by the deadline of their call, however slowly the pieces come; requests written in one piece."""

from __future__ import annotations

import http.client
import io
import socket
from contextvars import ContextVar
from functools import cache
from typing import Any

from attrs import define, frozen

from handlebar._plumbing.clock import Deadline


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
    """Mixed into a connection class of urllib3: a request is one write, its answer is read by the call's deadline."""

    sock: Any
    _held: list[bytes] | None = None

    def request(self, *args: Any, **kwargs: Any) -> None:
        call = current_call.get(None)
        if call is not None:
            call.reused = self.sock is not None
        held: list[bytes] = []
        self._held = held
        try:
            super().request(*args, **kwargs)  # type: ignore[misc]  # the other base has it
        finally:
            self._held = None
        self.send(b"".join(held))

    def send(self, data: Any) -> None:
        """Hold back what belongs to a request: written apart, head and body take twice the time."""
        if self._held is None:
            super().send(data)  # type: ignore[misc]  # as above
        else:
            self._held.append(data)

    @staticmethod
    def response_class(sock: Any, *args: Any, **kwargs: Any) -> http.client.HTTPResponse:
        call = current_call.get(None)
        readable: Any = sock if call is None else _BoundedSocket(sock, call)
        return http.client.HTTPResponse(readable, *args, **kwargs)


@cache
def bounded(connection: type) -> type:
    """Return the connection class with answers read by deadline."""
    return type(f"Bounded{connection.__name__}", (_BoundedConnection, connection), {})
