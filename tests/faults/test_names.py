"""Names that mean nothing, take long to look up, or come to mean another address; certificates of strangers."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from typing import Any

import pytest

from handlebar.core import FAILCLOSED_DECISION, Decision, RunConfig
from handlebar.core.client import HandlebarClient
from tests.faults.conftest import MakeClient
from tests.support.http_server import HttpServer

trustme = pytest.importorskip("trustme", reason="trustme is not installed")

BUDGET = 1.0
MARGIN = 5.0
"""What a loaded machine may add."""
ENDPOINT = "http://plane.example"
LOOK_UP = socket.getaddrinfo


class Names:
    """A name server that can be told what `plane.example` means."""

    def __init__(self) -> None:
        self.port = 0
        self.is_silent = False
        self.asked = threading.Event()

    def look_up(self, host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host != "plane.example":
            return LOOK_UP(host, port, *args, **kwargs)
        self.asked.set()
        if self.is_silent:
            time.sleep(BUDGET + MARGIN)
        if not self.port:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", self.port))]


@pytest.fixture(name="names")
def _names(monkeypatch: pytest.MonkeyPatch) -> Names:
    names = Names()
    monkeypatch.setattr(socket, "getaddrinfo", names.look_up)
    return names


def decided(client: HandlebarClient) -> tuple[Decision, float]:
    """Return a decision, and the seconds that it took, a start included."""
    began = time.monotonic()
    decision = client.start_run_sync(RunConfig(f"run-{began}")).before_tool_sync("refund", {})
    return decision, time.monotonic() - began


def test_a_name_that_means_nothing(names: Names, a_client: MakeClient) -> None:
    """Row 16: the fail decision, in time."""
    client = a_client(api_endpoint=ENDPOINT, fail_closed=True, decision_timeout=BUDGET, sinks=[])
    decision, seconds = decided(client)
    assert FAILCLOSED_DECISION == decision
    assert seconds < 3 * BUDGET + MARGIN
    assert names.asked.is_set()


def test_a_name_that_comes_to_mean_another_address(server: HttpServer, names: Names, a_client: MakeClient) -> None:
    """Row 16: when the first server is gone, the next decision is the second one's."""
    with HttpServer() as second:
        second.decision = {**second.decision, "message": "The second server"}
        names.port = int(server.url.rpartition(":")[2])
        client = a_client(api_endpoint=ENDPOINT, sinks=[])
        assert "No rule matched" == decided(client)[0].message
        names.port = int(second.url.rpartition(":")[2])
        server.stop()
        assert "The second server" == decided(client)[0].message


def test_a_certificate_of_a_stranger(a_client: MakeClient) -> None:
    """Row 16: the fail decision, and the key is told to nobody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with HttpServer(tls=context) as secure:
        client = a_client(api_endpoint=secure.url, fail_closed=True, decision_timeout=BUDGET, sinks=[])
        assert FAILCLOSED_DECISION == decided(client)[0]
        assert [] == secure.requests
