"""A server and a client that talks to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from handlebar.handoff import HandoffRailClient
from tests.handoff.packets import KEY
from tests.support.http_server import HttpServer


@pytest.fixture(name="server")
def _server() -> Iterator[HttpServer]:
    with HttpServer() as server:
        yield server


@pytest.fixture(name="client")
def _client(server: HttpServer) -> Iterator[HandoffRailClient]:
    with HandoffRailClient(f"{server.url}/api/v1", KEY, timeout=5, retry_delay=0.01) as client:
        yield client
