"""The way to one server in one process: over a pool of kept-alive connections, or through a session of the user's."""

from __future__ import annotations

import copy
import http.client
import queue
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any, Protocol

import requests
import urllib3
from attrs import Factory, frozen
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.ssl_ import create_urllib3_context, resolve_cert_reqs

from handlebar._plumbing.bounded_reading import bounded
from handlebar._plumbing.version import version

POOL_SIZE = 64
"""Kept-alive connections a process; as many threads ask at once without one being thrown away."""

MAX_ANSWER_BYTES = 8 * 1024 * 1024
PIECE_BYTES = 64 * 1024

# Of connections of anybody else's make, only urllib3 knows what to do with them.
_USUAL = frozenset(bounded(kind) for kind in (HTTPConnection, HTTPSConnection))


@frozen
class Request:
    """
    What is asked.

    Attributes:
        path: Is appended to the base URL.

        headers: Join those that every request carries.

        repeatable: Whether it may be sent again where it is not known what became of it.
    """

    method: str
    path: str
    body: bytes
    headers: Mapping[str, str] = Factory(dict)
    repeatable: bool = True


@frozen
class Response:
    """An answer: its status, its headers (looked up in any case), its body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@frozen
class OpenResponse:
    """
    An answer whose body is still to come.

    Attributes:
        pieces: The body, as it arrives.

        close: Ends it; from any thread.
    """

    status: int
    headers: Mapping[str, str]
    pieces: Iterator[bytes]
    close: Callable[[], None]


class Line(Protocol):
    """The way to the server in one process."""

    def send(self, request: Request, *, connect_timeout: float, read_timeout: float) -> Response:
        """Make one request; raises what requests, urllib3 and the system below them raise."""
        ...

    def open(self, request: Request, *, connect_timeout: float, read_timeout: float) -> OpenResponse:
        """Make one request, and leave its answer open; raises like `send`, and so do the pieces."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


class PoolLine:
    """The way through a pool of connections; what every request carries is worked out beforehand."""

    def __init__(self, pool: Any, prefix: str, headers: Mapping[str, str]) -> None:
        self._pool = pool
        self._prefix = prefix
        self._headers = dict(headers)

    def send(self, request: Request, *, connect_timeout: float, read_timeout: float) -> Response:
        """Send, as `Line` says."""
        idle = self._idle()
        if idle is None:
            return _read(self._ask(request, connect_timeout, read_timeout))
        headers = {**self._headers, **request.headers}
        try:
            answer = idle.ask(request.method, self._prefix + request.path, request.body, headers, timeout=read_timeout)
            with closing(answer):
                body = answer.read(MAX_ANSWER_BYTES + 1)
                _check(body, answer.length)
                return Response(answer.status, answer.headers, body)
        except BaseException:
            idle.close()
            raise
        finally:
            self._give_back(idle)

    def open(self, request: Request, *, connect_timeout: float, read_timeout: float) -> OpenResponse:
        """Open, as `Line` says."""
        answer = self._ask(request, connect_timeout, read_timeout)
        pieces = iter(lambda: answer.read1(PIECE_BYTES, decode_content=False), b"")
        return OpenResponse(answer.status, answer.headers, pieces, answer.close)

    def close(self) -> None:
        """Close, as `Line` says."""
        self._pool.close()

    def _idle(self) -> Any:
        """Take a connection that stands open out of the pool; None where there is none, or it is no usual one."""
        if self._pool.proxy is not None:
            return None
        try:
            connection = self._pool.pool.get_nowait()
        except (queue.Empty, AttributeError):  # the last: the pool has been closed
            return None
        if type(connection) in _USUAL and connection.is_connected:
            return connection
        self._give_back(connection)
        return None

    def _give_back(self, connection: Any) -> None:
        try:
            self._pool.pool.put_nowait(connection)
        except (queue.Full, AttributeError):  # as above
            if connection is not None:
                connection.close()

    def _ask(self, request: Request, connect_timeout: float, read_timeout: float) -> Any:
        return self._pool.urlopen(
            request.method,
            self._prefix + request.path,
            body=request.body,
            headers={**self._headers, **request.headers},
            retries=False,
            redirect=False,
            assert_same_host=False,
            timeout=urllib3.Timeout(connect=connect_timeout, read=read_timeout),
            preload_content=False,
            decode_content=False,
        )


class SessionLine:
    """The way through a session whose adapter sends for itself; slower, and it reads answers as it likes."""

    def __init__(self, session: Any, base_url: str, headers: Mapping[str, str]) -> None:
        self._session = session
        self._base_url = base_url
        self._headers = dict(headers)

    def send(self, request: Request, *, connect_timeout: float, read_timeout: float) -> Response:
        """Send, as `Line` says."""
        answer = self._ask(request, connect_timeout, read_timeout)
        return Response(answer.status_code, answer.headers, answer.content)

    def open(self, request: Request, *, connect_timeout: float, read_timeout: float) -> OpenResponse:
        """Open, as `Line` says."""
        answer = self._ask(request, connect_timeout, read_timeout, stream=True)
        # A larger piece would be waited for until it is full.
        return OpenResponse(answer.status_code, answer.headers, answer.iter_content(1), answer.close)

    def close(self) -> None:
        """Close nothing: the session is its maker's to close."""

    def _ask(self, request: Request, connect_timeout: float, read_timeout: float, **more: Any) -> Any:
        return self._session.request(
            request.method,
            self._base_url + request.path,
            data=request.body,
            headers={**self._headers, **request.headers},
            timeout=(connect_timeout, read_timeout),
            allow_redirects=False,
            verify=_chosen_verify(self._session),
            # Without one, requests would put what ~/.netrc says in the place of our key.
            auth=self._session.auth or _as_it_is,
            **more,
        )


def open_line(base_url: str, headers: Mapping[str, str], session: Any, *, after_fork: bool = False) -> Line:
    """
    Work out, once a process, how requests would reach the server; opens no socket.

    Args:
        base_url: What every path is appended to.

        headers: What every request carries.

        session: Whose settings to use; None for requests' usual ones.

        after_fork: Whether the *session* comes from another process.
    """
    session = session or requests.Session()
    carried = {**_chosen_headers(session), **headers}
    adapter: Any = session.get_adapter(base_url)
    if after_fork and isinstance(adapter, HTTPAdapter):
        _forget_connections(adapter)
    if type(adapter).send is not HTTPAdapter.send:
        return SessionLine(session, base_url, carried)
    if type(adapter) is HTTPAdapter:
        # A copy has connections of its own, none of which was opened before a fork.
        adapter = copy.copy(adapter)
        adapter.init_poolmanager(1, POOL_SIZE)
    settings = session.merge_environment_settings(base_url, {}, False, _chosen_verify(session), None)
    request = requests.Request("POST", base_url).prepare()
    pool = adapter.get_connection_with_tls_context(
        request, settings["verify"], proxies=settings["proxies"], cert=settings["cert"]
    )
    pool.ConnectionCls = bounded(pool.ConnectionCls)
    _share_tls_context(pool)
    return PoolLine(pool, adapter.request_url(request, settings["proxies"]).rstrip("/"), carried)


def _forget_connections(adapter: Any) -> None:
    """Leave what *adapter* has open to the parent: as unpickled, it has its settings and nothing open."""
    adapter.__setstate__(adapter.__getstate__())


def _as_it_is(request: Any) -> Any:
    """Authenticate *request* by the headers that it has."""
    return request


def _chosen_verify(session: requests.Session) -> bool | str | None:
    """Return what the session's owner has said of certificates; requests would let the environment override it."""
    return None if session.verify is True else session.verify


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
        _check(body, answer.length_remaining)
    except BaseException:
        answer.close()
        raise
    answer.release_conn()
    return Response(answer.status, answer.headers, body)


def _check(body: bytes, missing: int | None) -> None:
    """Raise where *body* is too large, or not whole: of what was announced, so many bytes have not come."""
    if len(body) > MAX_ANSWER_BYTES:
        raise ValueError("the answer is too large")
    # The libraries notice a body that is too short only when they are asked for more.
    if missing:
        raise http.client.IncompleteRead(body, missing)
