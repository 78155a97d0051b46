"""The life of a client: threads, forks, closing, and who answers at which URL."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import threading
import warnings
from typing import Any

import pytest

import handlebar.handoff
from handlebar.handoff import HandoffRailClient, ValidationError
from handlebar.handoff.endpoints import open_exchange
from handlebar.handoff.http_exchange import HttpExchange
from tests.handoff.packets import KEY, packet, says, stored
from tests.support.forks import in_child
from tests.support.http_server import HttpServer


def collected(client: Any) -> list[str]:
    """Let go of the client in the list *client* and return what Python has to say about it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        client.clear()
        gc.collect()
    return [str(each.message) for each in caught if each.category is ResourceWarning]


def test_threads_share_a_client(server: HttpServer, client: HandoffRailClient) -> None:
    """Sixteen of them, and each gets an answer to each of its calls."""
    server.behave(says(stored()))
    start = threading.Barrier(16)
    failed: list[Exception] = []

    def work() -> None:
        start.wait()
        try:
            for _ in range(5):
                client.create_packet(packet())
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failed
    assert 80 == len({request.headers["idempotency-key"] for request in server.requests})


def test_a_fork_has_connections_of_its_own(server: HttpServer, client: HandoffRailClient) -> None:
    """Both go on, and neither reads the other's answers."""
    server.behave(says(stored()))
    client.get_packet("parent")
    assert "ok" == in_child(lambda: "ok" if client.get_packet("child").version == "1.0.0" else "?")
    client.get_packet("parent")
    connections = {request.path[-6:]: request.connection for request in server.requests}
    assert connections["/child"] != connections["parent"]


def test_what_the_parent_closed_the_child_can_use(server: HttpServer) -> None:
    """And the other way round."""
    server.behave(says(stored()))
    client = HandoffRailClient(server.url, KEY)
    client.get_packet("p")
    assert "closed" == in_child(lambda: client.close() or "closed")  # type: ignore[func-returns-value]
    client.get_packet("p")
    client.close()


def test_a_client_that_is_left_open_warns(server: HttpServer) -> None:
    """When it is collected; one that was closed, or never used, does not."""
    server.behave(says(stored()))
    used = [HandoffRailClient(server.url, KEY)]
    used[0].get_packet("p")
    (warning,) = collected(used)
    assert "close()" in warning
    closed = [HandoffRailClient(server.url, KEY)]
    closed[0].get_packet("p")
    closed[0].close()
    assert [] == collected(closed)
    assert [] == collected([HandoffRailClient(server.url, KEY)])


def test_a_client_that_could_not_be_made_does_not_warn() -> None:
    """It has nothing to close."""
    with pytest.raises(ValidationError):
        HandoffRailClient("nonsense", KEY)
    assert [] == collected([])


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"base_url": None}, "base_url"),
        ({"base_url": ""}, "base_url"),
        ({"base_url": "ftp://x"}, "base_url"),
        ({"base_url": "localhost:8080"}, "base_url"),
        ({"base_url": "http://"}, "base_url"),
        ({"base_url": "http://host:99999"}, "base_url"),
        ({"base_url": "http://host:port"}, "base_url"),
        ({"base_url": "http://[::1"}, "base_url"),
        ({"base_url": "http://a..b"}, "base_url"),
        ({"base_url": "http://host/api/v1?key=1"}, "base_url"),
        ({"base_url": "http://ho st"}, "base_url"),
        ({"api_key": None}, "api_key"),
        ({"api_key": ""}, "api_key"),
        ({"api_key": "hr_ü"}, "api_key"),
        ({"api_key": "hr_a\r\nx-evil: 1"}, "api_key"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": "30"}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"timeout": float("inf")}, "timeout"),
        ({"max_retries": -1}, "max_retries"),
        ({"max_retries": 1.5}, "max_retries"),
        ({"retry_delay": -1}, "retry_delay"),
        ({"total_timeout": 0}, "total_timeout"),
    ],
    ids=range(23),
)
def test_bad_arguments(arguments: dict[str, Any], field: str) -> None:
    """Are told when the client is made, and never show the key."""
    with pytest.raises(ValidationError) as refused:
        HandoffRailClient(**{"base_url": "http://127.0.0.1:1", "api_key": KEY, **arguments})
    assert field == refused.value.field
    assert "evil" not in str(refused.value)


def test_neither_key_nor_url_shows() -> None:
    """In the client's repr."""
    with HandoffRailClient("http://user:secret@127.0.0.1:1", KEY) as client:
        assert "<HandoffRailClient>" == repr(client)


def test_schemes() -> None:
    """HTTP means a server, a database is used in this process, and a missing extra is named."""
    assert isinstance(open_exchange("HTTP://host/api/v1", KEY, timeout=1), HttpExchange)
    script = """
import sys
sys.modules["sqlalchemy"] = None
from handlebar.handoff import HandoffRailClient, ValidationError
try:
    HandoffRailClient("sqlite://")
except ValidationError as error:
    print(error.field, error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "base_url base_url" in done.stdout
    assert "handlebar[embedded]" in done.stdout


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        ("import handlebar.handoff", {"requests", "cattrs", "asyncio", "sqlalchemy", "ssl"}),
        ("from handlebar.handoff import HandoffRailClient", {"requests", "asyncio", "sqlalchemy"}),
    ],
)
def test_imports_are_cheap(statement: str, unwanted: set[str]) -> None:
    """What is not used yet is not loaded."""
    script = f"{statement}\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert set() == unwanted & set(json.loads(done.stdout))


def test_everything_is_at_the_door() -> None:
    """Clients, builders, records and errors; and the name of an error that is also Python's is ours."""
    from handlebar.handoff import exceptions

    assert exceptions.ConnectionError is handlebar.handoff.ConnectionError
    assert {"HandoffRailClient", "PacketBuilder", "ChainBuilder", "HandoffPacket"} <= set(handlebar.handoff.__all__)
    assert sorted(handlebar.handoff.__all__) == list(handlebar.handoff.__all__)
    for name in handlebar.handoff.__all__:
        assert getattr(handlebar.handoff, name)
