"""One decision over HTTP, beside the peer and beside the layers below."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import Any

import requests
import urllib3

from handlebar.core import Handlebar, HandlebarClientConfig, RunConfig
from tests.benchmarks.fixed_server import END, fixed_server
from tests.benchmarks.peers import PEER, Ask, peer_process
from tests.benchmarks.tables import Table, compared
from tests.benchmarks.timing import Arm, arm, medians

ARGS = {"order_id": "A-17", "amount": 40.0, "note": "the customer says that the parcel never came"}
_BODY = json.dumps({"phase": "tool.before", "agentId": "agent-1", "tool": {"name": "issue_refund"}, "args": ARGS})
_HEADERS = {"authorization": "Bearer key", "content-type": "application/json"}
_PATH = "/v1/runs/run-1/evaluate"


def report(peer_python: Path | None) -> list[Table]:
    """Measure, and return the table."""
    with fixed_server() as port, peer_process(peer_python, "peer_decisions.py", port) as ask:
        config = HandlebarClientConfig("bench", api_key="key", api_endpoint=f"http://127.0.0.1:{port}", poll_seconds=0)
        client = Handlebar.init_sync(config)
        run = client.start_run_sync(RunConfig("run-1"))
        ours = {"handlebar, before_tool_sync": arm(lambda: decide(run))}
        arms = {"raw socket": _raw_socket(port), **_below(port), **ours, **(_peer_arms(ask) if ask else {})}
        figures = medians(arms, calls=300)
        client.shutdown_sync()
    return [compared("One decision over HTTP", figures, base="raw socket")]


def decide(run: Any) -> None:
    """Have a decision made by whoever is asked; one that the client gives by itself says otherwise."""
    decision = run.before_tool_sync("issue_refund", ARGS)
    assert decision.message == "No rule matched", decision


def _peer_arms(ask: Ask) -> dict[str, Arm]:
    return {
        f"{PEER}, blocking call": lambda calls: ask("blocking", max(5, calls // 20)),
        f"{PEER}, one httpx client on one loop": lambda calls: ask("one loop", calls),
    }


def _raw_socket(port: int) -> Arm:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    head = "".join(f"{name}: {value}\r\n" for name, value in _HEADERS.items())
    request = f"POST {_PATH} HTTP/1.1\r\nhost: x\r\n{head}content-length: {len(_BODY)}\r\n\r\n{_BODY}".encode()

    def call() -> bytes:
        connection.sendall(request)
        answer = b""
        # What is left of an answer would be taken for the next one.
        while not answer.endswith(END):
            answer += connection.recv(65536)
        return answer

    return arm(call)


def _below(port: int) -> dict[str, Arm]:
    plain = http.client.HTTPConnection("127.0.0.1", port)
    pool = urllib3.HTTPConnectionPool("127.0.0.1", port)
    session = requests.Session()
    url = f"http://127.0.0.1:{port}{_PATH}"

    def by_http_client() -> object:
        plain.request("POST", _PATH, _BODY, _HEADERS)
        return json.loads(plain.getresponse().read())

    return {
        "http.client": arm(by_http_client),
        "urllib3": arm(lambda: json.loads(pool.urlopen("POST", _PATH, body=_BODY, headers=_HEADERS).data)),
        "requests": arm(lambda: session.post(url, data=_BODY, headers=_HEADERS).json()),
    }
