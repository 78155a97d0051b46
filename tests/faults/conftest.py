"""What the tests of faults share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from handlebar.core import Handlebar, HandlebarClientConfig
from handlebar.core.client import HandlebarClient
from tests.support.clients import made
from tests.support.http_server import HttpServer

MakeClient = Callable[..., HandlebarClient]


@pytest.fixture(name="server")
def _server() -> Iterator[HttpServer]:
    with HttpServer() as server:
        yield server


@pytest.fixture(name="a_client")
def _a_client(server: HttpServer) -> MakeClient:
    """Make clients of *server*, or of another endpoint."""

    def a_client(**config: Any) -> HandlebarClient:
        fields = {"agent": "desk", "api_endpoint": server.url, "api_key": "key", **config}
        made.append(Handlebar.init_sync(HandlebarClientConfig(**fields)))
        return made[-1]

    return a_client
