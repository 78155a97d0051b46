"""Names that mean nothing, take long to look up, or come to mean another address; certificates of strangers."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
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
LOOK_UP = socket.getaddrinfo
SILENT = "127.0.0.77"
"""Where nobody answers name servers' port, unless a test listens there."""

OTHERS_NAMES = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"']
"""Runs a program that asks other name servers than everybody else; needs root, and Linux."""

SCRIPT = """
import time
import handlebar
client = handlebar.init("desk", api_endpoint="http://plane.example", api_key="key", fail_closed=True,
    decision_timeout=1.0)
began = time.monotonic()
with client.run() as run:
    print(run.before_tool_sync("refund", {}).verdict.value, time.monotonic() - began)
"""


class Names:
    """A name server that can be told what `plane.example` means, and to say nothing."""

    def __init__(self) -> None:
        self.address = ""
        self.answering = threading.Event()
        self.answering.set()
        self.asked = threading.Event()

    def look_up(self, host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host != "plane.example":
            return LOOK_UP(host, port, *args, **kwargs)
        self.asked.set()
        self.answering.wait(60)
        if not self.address:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (self.address, port))]


@pytest.fixture(name="names")
def _names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    names = Names()
    monkeypatch.setattr(socket, "getaddrinfo", names.look_up)
    yield names
    names.answering.set()


@contextmanager
def a_silent_name_server() -> Iterator[socket.socket]:
    """Listen where programs ask for names; what comes is left unanswered."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        try:
            door.bind((SILENT, 53))
        except OSError as error:
            pytest.skip(f"nobody may listen at the name servers' port here: {error}")
        yield door


def decided(client: HandlebarClient) -> tuple[Decision, float]:
    """Return a decision, and the seconds that it took, a start included."""
    began = time.monotonic()
    decision = client.start_run_sync(RunConfig(f"run-{began}")).before_tool_sync("refund", {})
    return decision, time.monotonic() - began


def test_a_name_that_means_nothing(names: Names, a_client: MakeClient) -> None:
    """Row 16: the fail decision, in time."""
    client = a_client(api_endpoint="http://plane.example", fail_closed=True, decision_timeout=BUDGET, sinks=[])
    decision, seconds = decided(client)
    assert FAILCLOSED_DECISION == decision
    assert seconds < 3 * BUDGET + MARGIN
    assert names.asked.is_set()


@pytest.mark.parametrize("times", [1, 3])
def test_a_name_that_nobody_looks_up(names: Names, a_client: MakeClient, times: int) -> None:
    """Row 16: a look-up that hangs costs no more than the decision's time, and later decisions cost less."""
    names.answering.clear()
    client = a_client(api_endpoint="http://plane.example", fail_closed=True, decision_timeout=BUDGET, sinks=[])
    found = [decided(client) for _ in range(times)]
    assert {FAILCLOSED_DECISION} == {decision for decision, _ in found}
    assert sum(seconds for _, seconds in found) < 2 * BUDGET + MARGIN
    assert names.asked.is_set()


@pytest.mark.slow
def test_a_name_server_that_never_answers(tmp_path: Path) -> None:
    """Row 16: the same with the system's own look-up, which would wait for ten seconds and more."""
    settings = tmp_path / "resolv.conf"
    settings.write_text(f"nameserver {SILENT}\noptions timeout:30 attempts:2\n")
    if subprocess.run([*OTHERS_NAMES, settings, "true"], capture_output=True, check=False).returncode:
        pytest.skip("nobody may change what name servers one program asks here")
    with a_silent_name_server() as door:
        script = [*OTHERS_NAMES, settings, sys.executable, "-c", SCRIPT]
        done = subprocess.run(script, capture_output=True, text=True, timeout=120, check=True)
        assert b"plane\x07example" in door.recv(1000)
    verdict, seconds = done.stdout.split()
    assert "BLOCK" == verdict
    assert float(seconds) < 2 * BUDGET + MARGIN


def test_a_name_that_comes_to_mean_another_address(names: Names, a_client: MakeClient) -> None:
    """Row 16: when the first server is gone, the next decision is the second one's."""
    with HttpServer() as first, HttpServer(host="::1", port=first.port) as second:
        second.decision = {**second.decision, "message": "The second server"}
        names.address = "127.0.0.1"
        client = a_client(api_endpoint=f"http://plane.example:{first.port}", sinks=[])
        assert "No rule matched" == decided(client)[0].message
        names.address = "::1"
        first.stop()
        assert "The second server" == decided(client)[0].message


def test_a_certificate_of_a_stranger(a_client: MakeClient) -> None:
    """Row 16: the fail decision, and the key is told to nobody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with HttpServer(tls=context) as secure:
        client = a_client(api_endpoint=secure.url, fail_closed=True, decision_timeout=BUDGET, sinks=[])
        assert FAILCLOSED_DECISION == decided(client)[0]
        assert [] == secure.requests
