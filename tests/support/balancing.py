"""A load balancer on loopback: each connection goes to a server that lives."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import cycle
from urllib.parse import urlsplit


@contextmanager
def balanced(urls: Sequence[str]) -> Iterator[str]:
    """Listen for whoever wants one of the servers at *urls*, no matter which; give the URL."""
    places = cycle([(str(parts.hostname), parts.port or 80) for parts in map(urlsplit, urls)])
    with closing(socket.create_server(("127.0.0.1", 0), backlog=128)) as door:
        threading.Thread(target=_let_in, args=(door, places, len(urls)), daemon=True).start()
        yield f"http://127.0.0.1:{door.getsockname()[1]}"
        with suppress(OSError):
            door.shutdown(socket.SHUT_RDWR)


def _let_in(door: socket.socket, places: Iterator[tuple[str, int]], number: int) -> None:
    with suppress(OSError):  # the door is closed
        while True:
            caller, _ = door.accept()
            server = next((found for found in (_reached(next(places)) for _ in range(number)) if found), None)
            if server is None:
                caller.close()
                continue
            for pair in ((caller, server), (server, caller)):
                threading.Thread(target=_carry, args=pair, daemon=True).start()


def _reached(place: tuple[str, int]) -> socket.socket | None:
    try:
        return socket.create_connection(place, timeout=60)
    except OSError:
        return None


def _carry(one: socket.socket, other: socket.socket) -> None:
    """Carry what comes from *one* to the *other*, until either is gone; then both are."""
    with suppress(OSError):
        while piece := one.recv(65536):
            other.sendall(piece)
    for each in (one, other):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()
