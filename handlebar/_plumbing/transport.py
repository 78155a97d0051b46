"""
HTTP requests over kept-alive connections, each with a deadline for the whole of it.

The connections are those of a `requests.Session`'s adapters, so its proxies, certificates and adapters are
honoured; what requests does for each call (merging settings, looking at the environment, preparing) is done
once a process here. Errors never hold a URL, a header or a body.
"""

from __future__ import annotations

import copy
import http.client
import io
from collections.abc import Mapping
from contextvars import ContextVar
from functools import cache
from typing import Any, Protocol

import requests
import urllib3
from attrs import define, field, frozen
from requests.adapters import HTTPAdapter
from urllib3.util.ssl_ import create_urllib3_context, resolve_cert_reqs

from handlebar._plumbing.clock import Deadline
from handlebar._plumbing.forking import PerProcess
from handlebar._plumbing.version import version
from handlebar.errors import UnreachableError

POOL_SIZE = 64
"""Kept-alive connections a process; as many threads ask at once without one being thrown away."""

MAX_ANSWER_BYTES = 8 * 1024 * 1024

_STALE = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError, ConnectionAbortedError)
_FAILURES = (
    urllib3.exceptions.HTTPError,
    requests.RequestException,
    http.client.HTTPException,
    OSError,
    ValueError,
)


@frozen
class Response:
    """An answer: its status, its headers (looked up in any case), its body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@define
class _Call:
    """One request under way, as the connection that carries it needs to know it."""

    deadline: Deadline
    read_timeout: float
    reused: bool = False

    def patience(self) -> float:
        """Return how long the next piece of the answer may take."""
        remaining = self.deadline.remaining()
        if not remaining:
            raise TimeoutError("the time for the whole call is over")
        return min(self.read_timeout, remaining)


_call: ContextVar[_Call] = ContextVar("handlebar_http_call")


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
    _line: PerProcess[_Line] = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_line", PerProcess(lambda: _open_line(self)))

    def send(
        self,
        method: str,
        path: str,
        body: bytes,
        *,
        deadline: Deadline,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """
        Make one request and return the answer, whatever its status; redirects are not followed.

        Raises:
            UnreachableError: No whole answer of at most 8 MiB came by the *deadline*. Its reason is `timeout`,
                `tls` or `network`.
        """
        call = _Call(deadline, self.read_timeout)
        token = _call.set(call)
        try:
            return self._send_once_more_if_stale(call, method, path, body, headers)
        except _FAILURES as error:
            raise _unreachable(error, deadline) from error
        finally:
            _call.reset(token)

    def close(self) -> None:
        """Close the connections of this process; a later request opens new ones."""
        line = self._line.peek()
        if line is not None:
            line.close()

    def _send_once_more_if_stale(
        self, call: _Call, method: str, path: str, body: bytes, headers: Mapping[str, str] | None
    ) -> Response:
        """Send; once more at once where the server had closed the kept-alive connection meanwhile."""
        line = self._line.get()
        try:
            return line.send(self, call, method, path, body, headers)
        except _FAILURES as error:
            if not (call.reused and isinstance(_cause(error), _STALE)):
                raise
        return line.send(self, call, method, path, body, headers)


class _Line(Protocol):
    """The way to the server in one process."""

    def send(
        self,
        transport: Transport,
        call: _Call,
        method: str,
        path: str,
        body: bytes,
        headers: Mapping[str, str] | None,
    ) -> Response: ...

    def close(self) -> None: ...


class _PoolLine:
    """The way through a pool of connections; what every request carries is worked out beforehand."""

    def __init__(self, pool: Any, prefix: str, headers: Mapping[str, str]) -> None:
        self._pool = pool
        self._prefix = prefix
        self._headers = dict(headers)

    def send(
        self,
        transport: Transport,
        call: _Call,
        method: str,
        path: str,
        body: bytes,
        headers: Mapping[str, str] | None,
    ) -> Response:
        patience = call.patience()
        answer = self._pool.urlopen(
            method,
            self._prefix + path,
            body=body,
            headers={**self._headers, **headers} if headers else self._headers,
            retries=False,
            redirect=False,
            assert_same_host=False,
            timeout=urllib3.Timeout(connect=min(transport.connect_timeout, patience), read=patience),
            preload_content=False,
            decode_content=False,
        )
        return _read(answer)

    def close(self) -> None:
        self._pool.close()


class _SessionLine:
    """The way through a session whose adapter sends for itself; slower, and it reads answers as it likes."""

    def __init__(self, session: Any, base_url: str, headers: Mapping[str, str]) -> None:
        self._session = session
        self._base_url = base_url
        self._headers = dict(headers)

    def send(
        self,
        transport: Transport,
        call: _Call,
        method: str,
        path: str,
        body: bytes,
        headers: Mapping[str, str] | None,
    ) -> Response:
        patience = call.patience()
        answer = self._session.request(
            method,
            self._base_url + path,
            data=body,
            headers={**self._headers, **(headers or {})},
            timeout=(min(transport.connect_timeout, patience), patience),
            allow_redirects=False,
        )
        return Response(answer.status_code, answer.headers, answer.content)

    def close(self) -> None:
        """The session is its maker's to close."""


class _BoundedReader(io.RawIOBase):
    """Reads a socket within the deadline of one call, however slowly the pieces come."""

    def __init__(self, sock: Any, call: _Call) -> None:
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
    call: _Call

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_BoundedReader(self.sock, self.call))


class _BoundedConnection:
    """Mixed into a connection class of urllib3: a request is one write, its answer is read by the call's deadline."""

    sock: Any
    _held: list[bytes] | None = None

    def request(self, *args: Any, **kwargs: Any) -> None:
        call = _call.get(None)
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
        call = _call.get(None)
        readable: Any = sock if call is None else _BoundedSocket(sock, call)
        return http.client.HTTPResponse(readable, *args, **kwargs)


@cache
def _bounded(connection: type) -> type:
    """Return the connection class with answers read by deadline."""
    return type(f"Bounded{connection.__name__}", (_BoundedConnection, connection), {})


def _open_line(transport: Transport) -> _Line:
    """Work out, once a process, how requests would reach the server; opens no socket."""
    session = transport.session or requests.Session()
    headers = {**_chosen_headers(session), **transport.headers}
    adapter: Any = session.get_adapter(transport.base_url)
    if type(adapter).send is not HTTPAdapter.send:
        return _SessionLine(session, transport.base_url, headers)
    if type(adapter) is HTTPAdapter:
        # A copy has connections of its own, none of which was opened before a fork.
        adapter = copy.copy(adapter)
        adapter.init_poolmanager(1, POOL_SIZE)
    settings = session.merge_environment_settings(transport.base_url, {}, False, None, None)
    request = requests.Request("POST", transport.base_url).prepare()
    pool = adapter.get_connection_with_tls_context(
        request, settings["verify"], proxies=settings["proxies"], cert=settings["cert"]
    )
    pool.ConnectionCls = _bounded(pool.ConnectionCls)
    _share_tls_context(pool)
    return _PoolLine(pool, adapter.request_url(request, settings["proxies"]).rstrip("/"), headers)


def _chosen_headers(session: requests.Session) -> dict[str, str]:
    """Return our own headers, and those that the session's owner has set."""
    usual = requests.utils.default_headers()
    ours = {"user-agent": f"handlebar-python/{version()}", "accept-encoding": "identity"}
    theirs = {str(k).lower(): str(v) for k, v in session.headers.items() if usual.get(k) != v}
    return {**ours, **theirs}


def _share_tls_context(pool: Any) -> None:
    """Build the pool's TLS context now, so that urllib3 does not build one for each connection (16 ms)."""
    if not isinstance(pool, urllib3.HTTPSConnectionPool) or "ssl_context" in pool.conn_kw:
        return
    context = create_urllib3_context(cert_reqs=resolve_cert_reqs(pool.cert_reqs))
    if pool.ca_certs or pool.ca_cert_dir:
        context.load_verify_locations(pool.ca_certs, pool.ca_cert_dir)
    if pool.cert_file:
        context.load_cert_chain(pool.cert_file, pool.key_file, pool.key_password)
    pool.conn_kw["ssl_context"] = context
    pool.ca_certs = pool.ca_cert_dir = pool.cert_file = pool.key_file = pool.key_password = None


def _read(answer: Any) -> Response:
    """Read the whole answer, and give the connection back."""
    try:
        body = answer.read(MAX_ANSWER_BYTES + 1)
        if len(body) > MAX_ANSWER_BYTES:
            raise ValueError("the answer is too large")
    except BaseException:
        answer.close()
        raise
    answer.release_conn()
    return Response(answer.status, answer.headers, body)


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
