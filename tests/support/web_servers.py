"""Real web servers in processes of their own, and clients for them."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import field, frozen

from tests.support.control import ROOT
from tests.support.waiting import eventually

PATIENCE = 30.0
"""Seconds that a server may take to start, or to answer, on a machine that does other things too."""

_TOO_LONG = 12.0
"""Seconds after which a server that was told to leave is waiting for something."""


@frozen
class Got:
    """An answer."""

    status: int
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@frozen
class WebServer:
    """A server that answers, and the file that it writes its log to."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Got:
        """Make one request, on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", path, headers={"Connection": "close", **(headers or {})})
            answer = connection.getresponse()
            return Got(answer.status, answer.read())
        finally:
            connection.close()

    def get_all(self, paths: Sequence[str], *, at_once: int) -> list[Got]:
        """Make requests, so many at the same time; the answers come in the order of *paths*."""
        with ThreadPoolExecutor(at_once) as pool:
            return list(pool.map(self.get, paths))

    def leave(self, path: str, *, after_bytes: int = 0, after_seconds: float = 0.0) -> None:
        """Make a request, and close the connection after so many bytes of the answer, or so many seconds."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            read = 0
            while read < after_bytes:
                read += len(connection.recv(after_bytes))
            time.sleep(after_seconds)

    def stop(self, sent: signal.Signals = signal.SIGTERM) -> float:
        """Tell the server to leave, wait until it has, and return the seconds that it took."""
        began = time.monotonic()
        self.process.send_signal(sent)
        try:
            self.process.wait(_TOO_LONG)
        except subprocess.TimeoutExpired:
            # A worker of gunicorn's that has only just been forked does not hear the signal, and nobody repeats it.
            for worker in self._workers():
                os.kill(worker, sent)
            self.process.wait(PATIENCE)
        return time.monotonic() - began

    def _workers(self) -> list[int]:
        """Return the processes that the server has forked and that are still there."""
        of_it = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in of_it.read_text().split()]


@frozen
class Kind:
    """How a server is started: the words of its command, with `{port}` and `{app}` in them."""

    name: str
    command: Sequence[str]
    settings: Mapping[str, str] = field(factory=dict)

    @contextmanager
    def serves(self, app: str, folder: Path, **environment: str) -> Iterator[WebServer]:
        """Serve *app* until the block is left."""
        port = free_port()
        log = folder / f"{self.name}-{port}.log"
        command = [word.format(port=port, app=app) for word in self.command]
        settings = {**os.environ, "PYTHONPATH": str(ROOT), **self.settings, **environment}
        with (
            log.open("wb") as output,
            subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, cwd=ROOT, env=settings, start_new_session=True
            ) as process,
        ):
            try:
                server = WebServer(process, port, log)
                assert eventually(lambda: _answers(server), seconds=PATIENCE), log.read_text()
                yield server
            finally:
                end_session(process)


def gunicorn(worker: str, *more: str, python: Sequence[str] = ()) -> Kind:
    """Return gunicorn with workers of that kind."""
    begin = [sys.executable, *python, "-m", "gunicorn", "--no-control-socket", "-b", "127.0.0.1:{port}"]
    return Kind(f"gunicorn-{worker}", [*begin, "-k", worker, *more, "{app}"])


def uvicorn(*more: str) -> Kind:
    """Return uvicorn."""
    begin = [sys.executable, "-m", "uvicorn", "--host", "127.0.0.1", "--port", "{port}"]
    return Kind("uvicorn", [*begin, "--log-level", "warning", *more, "{app}"])


def daphne() -> Kind:
    """Return daphne."""
    return Kind("daphne", [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", "{port}", "{app}"])


def uwsgi(*more: str) -> Kind:
    """Return uWSGI, which forks without telling Python."""
    binary = str(Path(sys.executable).parent / "pyuwsgi")
    begin = [binary, "--http-socket", "127.0.0.1:{port}", "--master", "--need-app", "--die-on-term"]
    return Kind("uwsgi", [*begin, "--module", "{app}", *more])


def _answers(server: WebServer) -> bool:
    assert server.process.poll() is None, server.log.read_text()
    try:
        return server.get("/health").status == 200
    except OSError:
        return False


def end_session(process: subprocess.Popen[bytes]) -> None:
    """End a process that leads a session, and the children that it has left: all of the session."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # nobody is left
    process.wait()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
