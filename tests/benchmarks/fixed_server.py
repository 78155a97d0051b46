"""A server that does as little as possible: a fixed answer to each request, in one write, without delay."""

from __future__ import annotations

import json
import multiprocessing
import multiprocessing.connection
import re
import socket
import socketserver
from collections.abc import Iterator
from contextlib import contextmanager

_DECISION = {
    "verdict": "ALLOW",
    "control": "CONTINUE",
    "cause": {"kind": "ALLOW"},
    "message": "No rule matched",
    "evaluatedRules": [],
}
_ANSWER = {"agentId": "agent-1", "agent_id": "agent-1", "lockdown": {"active": False}, **_DECISION}
_BODY = json.dumps(_ANSWER).encode()
END = _BODY[-20:]
"""So every answer ends, and nothing else in it does."""
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class _Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        """Answer until the client goes away."""
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(_BODY)
        received = b""
        while data := self.request.recv(65536):
            received += data
            while (end := _request_end(received)) is not None:
                received = received[end:]
                self.request.sendall(head + _BODY)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128


@contextmanager
def fixed_server() -> Iterator[int]:
    """Run the server in a process of its own; yield its port."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join()


def _serve(pipe: multiprocessing.connection.Connection) -> None:
    with _Server(("127.0.0.1", 0), _Handler) as server:
        pipe.send(server.server_address[1])
        server.serve_forever()


def _request_end(received: bytes) -> int | None:
    """Return where the first whole request ends."""
    head = received.find(b"\r\n\r\n")
    if head < 0:
        return None
    length = _LENGTH.search(received, 0, head + 2)
    end = head + 4 + (int(length[1]) if length else 0)
    return end if len(received) >= end else None
