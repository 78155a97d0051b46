"""A loopback HTTP/1.1 control plane that behaves well until it is told to misbehave."""

from __future__ import annotations

import json
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import responses
from typing import Any, Union
from urllib.parse import urlsplit

from attrs import field, frozen

from tests.support.waiting import eventually

BATCH_ID = "x-handlebar-batch-id"
ALLOW: dict[str, Any] = {
    "verdict": "ALLOW",
    "control": "CONTINUE",
    "cause": {"kind": "ALLOW"},
    "message": "No rule matched",
    "evaluatedRules": [],
}
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_MANY = 1 << 40


@frozen
class Request:
    """What came in; *connection* counts from 1 in the order of acceptance."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int

    def json(self) -> Any:
        return json.loads(self.body)


Content = Union[bytes, dict[str, Any]]


def head(status: int, headers: Mapping[str, str]) -> bytes:
    """Return the status line and *headers*, with the empty line that ends them."""
    reason = responses.get(status, "Unknown")
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def whole(status: int, content: Content, headers: Mapping[str, str] | None = None) -> bytes:
    """Return head and body; *headers* beat the ones that fit *content*."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    fitting = {"content-type": "application/json", "content-length": str(len(body))}
    return head(status, {**fitting, **(headers or {})}) + body


class Connection:
    """One accepted socket, from its first request until either side closes it: what a behaviour is given."""

    request: Request

    def __init__(self, accepted: socket.socket, number: int, server: HttpServer) -> None:
        self._socket = accepted
        self._number = number
        self._server = server
        self._unread = b""
        self.thread = threading.Thread(target=self._serve, name=f"test-http-{number}", daemon=True)

    def normal(self) -> tuple[int, dict[str, Any]]:
        """Do what the request asks for, and return status and content of the good answer."""
        return self._server.fulfil(self.request)

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def pause(self, seconds: float) -> None:
        """
        Let *seconds* pass.

        Raises:
            ConnectionAbortedError: The server stops.
        """
        if self._server.stopping.wait(seconds):
            raise ConnectionAbortedError

    def wait_until_gone(self) -> None:
        """Return when the client has closed, or the server has stopped; what comes in is thrown away."""
        while self._socket.recv(65536):
            pass

    def close(self) -> None:
        self._socket.close()

    def reset(self) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._socket.close()

    def cut(self) -> None:
        """End both directions from another thread; the connection's own thread then closes."""
        _shut(self._socket)

    def _serve(self) -> None:
        try:
            while self._read():
                self._server.behaviour_for(self.request)(self)
                if self.request.headers.get("connection") == "close":
                    break
        except OSError:
            pass  # the client left, a behaviour closed, or the server stops
        finally:
            self.close()
            self._server.left(self._number)

    def _read(self) -> bool:
        """Whether another request came; it is then in `request`."""
        while b"\r\n\r\n" not in self._unread:
            if not self._more():
                return False
        start, _, self._unread = self._unread.partition(b"\r\n\r\n")
        line, *fields = start.decode("latin-1").split("\r\n")
        method, path, _ = line.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (text.partition(":") for text in fields)}
        body = self._exactly(int(headers.get("content-length", 0)))
        self.request = Request(method, path, headers, body, self._number)
        self._server.requests.append(self.request)
        return True

    def _exactly(self, length: int) -> bytes:
        while len(self._unread) < length:
            if not self._more():
                raise ConnectionResetError
        body, self._unread = self._unread[:length], self._unread[length:]
        return body

    def _more(self) -> bool:
        received = self._socket.recv(65536)
        self._unread += received
        return bool(received)


Behaviour = Callable[[Connection], None]
"""How one request is answered. Where the good content is sent, even in part, its work was done first."""


def well(connection: Connection) -> None:
    """Answer as a control plane does."""
    connection.send(whole(*connection.normal()))


@frozen
class Answer:
    """A well-formed answer of one's own; nothing is stored."""

    status: int
    body: Content = b"{}"
    headers: Mapping[str, str] = field(factory=dict)

    def __call__(self, connection: Connection) -> None:
        body = b"" if self.status in (204, 304) else self.body
        connection.send(whole(self.status, body, self.headers))


def Html(status: int = 200) -> Answer:
    """Return the page of something that stands between."""
    return Answer(status, b"<html><body>Please sign in</body></html>", {"content-type": "text/html"})


def Redirect(location: str, status: int = 302) -> Answer:
    """Return a redirection to *location*."""
    return Answer(status, b"", {"location": location})


@frozen
class Huge:
    """A well-formed answer with a JSON body of *size* bytes; nothing is stored."""

    size: int

    def __call__(self, connection: Connection) -> None:
        connection.send(whole(200, b'{"x": "' + b"x" * (self.size - 9) + b'"}'))


@frozen
class Hang:
    """Silence, until the client closes or the server stops."""

    def __call__(self, connection: Connection) -> None:
        connection.wait_until_gone()


@frozen
class Slow:
    """The good answer, *seconds* late."""

    seconds: float

    def __call__(self, connection: Connection) -> None:
        connection.pause(self.seconds)
        well(connection)


@frozen
class Drip:
    """The good answer a byte at a time, head included; *endless* goes on with a body that never ends."""

    seconds_between: float = field(default=0.05, kw_only=True)
    endless: bool = field(default=False, kw_only=True)

    def __call__(self, connection: Connection) -> None:
        longer = {"content-length": str(_MANY)} if self.endless else {}
        self._send_slowly(connection, whole(*connection.normal(), longer))
        while self.endless:
            self._send_slowly(connection, b" ")

    def _send_slowly(self, connection: Connection, data: bytes) -> None:
        for byte in data:
            connection.send(bytes([byte]))
            connection.pause(self.seconds_between)


@frozen
class ResetBefore:
    """A reset as soon as the request is read; nothing is stored."""

    def __call__(self, connection: Connection) -> None:
        connection.reset()


@frozen
class StoreThenReset:
    """The work done, and a reset instead of an answer."""

    def __call__(self, connection: Connection) -> None:
        connection.normal()
        connection.reset()


@frozen
class ResetInAnswer:
    """Half of the good answer's body, or with *in_head* half of its head, and a reset."""

    in_head: bool = field(default=False, kw_only=True)

    def __call__(self, connection: Connection) -> None:
        answer = whole(*connection.normal())
        body = answer.index(b"\r\n\r\n") + 4
        connection.send(answer[: body // 2 if self.in_head else (body + len(answer)) // 2])
        connection.reset()


@frozen
class EmptyAnswer:
    """The connection closed without a byte; nothing is stored."""

    def __call__(self, connection: Connection) -> None:
        connection.close()


@frozen
class HalfAnswer:
    """Half of the good body under the whole one's length, and the connection closed."""

    def __call__(self, connection: Connection) -> None:
        status, content = connection.normal()
        body = json.dumps(content).encode()
        connection.send(whole(status, body[: len(body) // 2], {"content-length": str(len(body))}))
        connection.close()


@frozen
class WrongLength:
    """The good body under half its length, in one piece; the connection lives on with the rest in it."""

    def __call__(self, connection: Connection) -> None:
        status, content = connection.normal()
        connection.send(whole(status, content, {"content-length": str(len(json.dumps(content)) // 2)}))


@frozen
class CloseAfter:
    """The good answer, which promises nothing of the kind, and the connection closed: a stale keep-alive."""

    def __call__(self, connection: Connection) -> None:
        well(connection)
        connection.close()


@frozen
class Chunked:
    """The good answer in two chunks, well-formed."""

    def __call__(self, connection: Connection) -> None:
        status, content = connection.normal()
        body = json.dumps(content).encode()
        chunks = [body[:1], body[1:], b""]
        connection.send(_chunked_head(status) + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks))


@frozen
class BrokenChunked:
    """A chunked answer that loses its way after the first chunk, and the connection closed."""

    def __call__(self, connection: Connection) -> None:
        status, _ = connection.normal()
        connection.send(_chunked_head(status) + b"1\r\n{\r\nno length\r\n")
        connection.close()


def _chunked_head(status: int) -> bytes:
    return head(status, {"content-type": "application/json", "transfer-encoding": "chunked"})


@frozen
class _Rule:
    behaviour: Behaviour
    path: str


class _Door:
    """A listening socket with the thread that accepts, until `close`; twice does no harm."""

    def __init__(self, listener: socket.socket, welcome: Callable[[socket.socket], None]) -> None:
        self._listener = listener
        self._welcome = welcome
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._accept, name="test-http-door", daemon=True)
        listener.settimeout(0.1)
        self.port: int = listener.getsockname()[1]
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        _shut(self._listener)
        self._thread.join()

    def _accept(self) -> None:
        with self._listener:
            while not self._closing.is_set():
                try:
                    accepted, _ = self._listener.accept()
                except OSError:
                    continue  # nobody came for a moment, who came has left, or the door closes
                self._welcome(accepted)


def _shut(either: socket.socket) -> None:
    """Wake whoever waits on *either*, in this process and in forked ones: closing alone does neither."""
    try:
        # Not the method of SSLSocket: that one pulls TLS from under the thread that reads.
        socket.socket.shutdown(either, socket.SHUT_RDWR)
    except OSError:
        pass  # it is closed already


class HttpServer:
    """
    Serves from entering the `with` block (or from making it) until `stop`.

    A forked child may talk to it; only the process that made it may ask what came in.

    Args:
        tls: Speak TLS with this context.

        host: A loopback address, of either family.

        port: Any that is free where it is 0.

    Attributes:
        decision: What `evaluate` and `check` answer, as on the wire.

        status: How the agent stands, as on the wire.

        budgets: What is left of the agent's budgets, as on the wire.

        requests: What came in, misbehaved to or not, in order of arrival.

        connections: How many were accepted.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0) -> None:
        self.decision: dict[str, Any] = dict(ALLOW)
        self.status: dict[str, Any] = {"lockdown": {"active": False}, "lockdowns": [], "policies": []}
        self.budgets: dict[str, Any] = {"expires_seconds": 60, "responses": []}
        self.requests: list[Request] = []
        self.connections = 0
        self._tls = tls
        self.stopping = threading.Event()
        self._host = host
        self._port = port
        self._lock = threading.Lock()
        self._queued: list[_Rule] = []
        self._permanent: list[_Rule] = []
        self._stored: dict[str, list[dict[str, Any]]] = {}
        self._open: dict[int, Connection] = {}
        self._door = self._listen()

    def __enter__(self) -> HttpServer:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._tls else 'http'}://{host}:{self._port}"

    @property
    def port(self) -> int:
        return self._port

    @property
    def batches(self) -> list[str]:
        """The batch ids as they came in, repeats included."""
        return [request.headers[BATCH_ID] for request in self.requests if BATCH_ID in request.headers]

    def events(self) -> list[dict[str, Any]]:
        """Return what was stored, each batch once, in order of arrival."""
        with self._lock:
            return [event for batch in self._stored.values() for event in batch]

    def wait_for(self, predicate: Callable[[], bool], seconds: float = 10.0) -> bool:
        """Whether *predicate* comes to hold within *seconds*."""
        return eventually(predicate, seconds=seconds)

    def behave(self, behaviour: Behaviour, *, path: str = "", times: int | None = None) -> None:
        """
        Answer requests whose path contains *path* with *behaviour*.

        Args:
            behaviour: How.

            path: The text to look for; every path contains the empty one.

            times: For so many requests, in the order in which `behave` was called; None for all that no
                such queued behaviour is left for. The latest of those wins.
        """
        rule = _Rule(behaviour, path)
        with self._lock:
            if times is None:
                self._permanent.insert(0, rule)
            else:
                self._queued.extend([rule] * times)

    def behave_well(self) -> None:
        """Forget every behaviour."""
        with self._lock:
            self._queued.clear()
            self._permanent.clear()

    @contextmanager
    def refuse(self) -> Iterator[None]:
        """Be gone: open connections are cut, new ones refused; afterwards listen on the same port again."""
        self._door.close()
        self._cut_all()
        try:
            yield
        finally:
            if not self.stopping.is_set():
                self._door = self._listen()

    def stop(self) -> None:
        """Close everything and wait for the threads, 5 s at most; twice does no harm."""
        self.stopping.set()
        self._door.close()
        deadline = time.monotonic() + 5.0
        for connection in self._cut_all():
            connection.thread.join(max(0.0, deadline - time.monotonic()))

    def behaviour_for(self, request: Request) -> Behaviour:
        """Return, and use up, how *request* is to be answered."""
        with self._lock:
            for rules in (self._queued, self._permanent):
                for place, rule in enumerate(rules):
                    if rule.path in request.path:
                        return (rules.pop(place) if rules is self._queued else rule).behaviour
        return well

    def fulfil(self, request: Request) -> tuple[int, dict[str, Any]]:
        """Do what *request* asks for, and return status and content of the good answer."""
        called = f"{request.method} {urlsplit(request.path).path}"
        for pattern, answer in self._routes().items():
            if re.fullmatch(pattern, called):
                try:
                    # What is no JSON is refused, whatever the call.
                    if request.method != "GET":
                        request.json()
                    return 200, answer(request)
                except (ValueError, KeyError, TypeError) as error:
                    return 400, {"error": f"Send a body and headers that fit {called}: {error!r}"}
        return 404, {"error": f"No such call: {called}"}

    def left(self, number: int) -> None:
        """Forget the connection *number*, which has closed."""
        with self._lock:
            self._open.pop(number, None)

    def _routes(self) -> dict[str, Callable[[Request], dict[str, Any]]]:
        return {
            "POST /v1/agents": lambda _: {"agentId": "agent-1"},
            "POST /v1/agents/check": lambda _: self.decision,
            "PUT /v1/agents/[^/]+/tools": lambda _: {},
            "GET /v1/agents/[^/]+/status": lambda _: self.status,
            "GET /v1/agents/[^/]+/metrics/budget": lambda _: self.budgets,
            "POST /v1/runs/events": self._store,
            "POST /v1/runs/[^/]+/start": lambda _: {"lockdown": {"active": False}},
            "POST /v1/runs/[^/]+/evaluate": lambda _: self.decision,
            "POST /v1/runs/[^/]+/end": lambda _: {},
        }

    def _store(self, request: Request) -> dict[str, Any]:
        events = list(request.json()["events"])
        with self._lock:
            self._stored.setdefault(request.headers[BATCH_ID], events)
        return {}

    def _listen(self) -> _Door:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((self._host, self._port))
        listener.listen(128)
        if self._tls is not None:
            # The handshake is left to the connection's first read, on its own thread.
            listener = self._tls.wrap_socket(listener, server_side=True, do_handshake_on_connect=False)
        door = _Door(listener, self._welcome)
        self._port = door.port
        return door

    def _welcome(self, accepted: socket.socket) -> None:
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self.connections += 1
            connection = Connection(accepted, self.connections, self)
            self._open[self.connections] = connection
        connection.thread.start()

    def _cut_all(self) -> list[Connection]:
        with self._lock:
            connections = list(self._open.values())
        for connection in connections:
            connection.cut()
        return connections
