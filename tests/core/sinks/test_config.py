"""What sinks are configured with, and what is made of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from handlebar.core import (
    ConsoleSinkConfig,
    Handlebar,
    HandlebarClientConfig,
    HttpSinkConfig,
    JsonlSinkConfig,
    RunConfig,
    create_http_sink,
)
from handlebar.errors import ConfigError
from tests.support.http_server import HttpServer


@pytest.fixture(name="server")
def _server() -> Iterator[HttpServer]:
    with HttpServer() as server:
        yield server


@pytest.mark.parametrize(
    "wrong",
    [
        {"endpoint": ""},
        {"api_key": ""},
        {"queue_depth": 0},
        {"queue_depth": 1.5},
        {"queue_depth": True},
        {"max_batch_size": 0},
        {"flush_interval_ms": 0},
        {"flush_interval_ms": float("nan")},
        {"flush_timeout_ms": -1},
        {"flush_timeout_ms": "5000"},
    ],
    ids=str,
)
def test_values_are_checked(wrong: dict[str, Any]) -> None:
    """The error names the field."""
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        HttpSinkConfig(**wrong)


def test_the_defaults_are_those_of_the_wire_file() -> None:
    """Five hundred events, every second, fifty at once, five seconds at the end."""
    config = HttpSinkConfig()
    told = (config.queue_depth, config.flush_interval_ms, config.max_batch_size, config.flush_timeout_ms)
    assert (500, 1000, 50, 5000) == told


def test_the_key_is_not_shown() -> None:
    """Row 25: not by the config, the sink, or what goes wrong with either."""
    config = HttpSinkConfig("https://plane.invalid", "the-secret")
    sink = create_http_sink("https://plane.invalid", "the-secret")
    with pytest.raises(ConfigError, match="api_key") as refused:
        create_http_sink("https://plane.invalid", "the-secret\r\nx-evil: 1")
    assert "the-secret" not in f"{config!r} {sink!r} {vars(sink)!r} {refused.value!r} {refused.value}"


@pytest.mark.parametrize("half", [{"endpoint": "https://plane.invalid"}, {"api_key": "key"}], ids=str)
def test_an_endpoint_and_its_key_go_together(half: dict[str, str], server: HttpServer) -> None:
    """An endpoint of one's own is not sent the client's key."""
    config = HandlebarClientConfig("desk", api_endpoint=server.url, api_key="key", sinks=[HttpSinkConfig(**half)])
    if "endpoint" in half:
        with pytest.raises(ConfigError, match="api_key"):
            Handlebar.init_sync(config)
    else:
        Handlebar.init_sync(config).shutdown_sync()


def test_sinks_of_all_kinds_at_once(server: HttpServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each gets every event of the run; one with an endpoint of its own uses its own key."""
    file = tmp_path / "audit.jsonl"
    with HttpServer() as second:
        sinks = [HttpSinkConfig(), HttpSinkConfig(second.url, "other"), JsonlSinkConfig(file), ConsoleSinkConfig()]
        config = HandlebarClientConfig("desk", api_endpoint=server.url, api_key="key", sinks=sinks)
        client = Handlebar.init_sync(config)
        client.start_run_sync(RunConfig("run-1")).end_sync()
        client.shutdown_sync()
        kinds = ["run.started", "run.ended"]
        assert kinds == [event["kind"] for event in server.events()]
        assert kinds == [event["kind"] for event in second.events()]
        assert {"Bearer other"} == {request.headers["authorization"] for request in second.requests}
    assert (2, 2) == (file.read_text().count("\n"), capsys.readouterr().out.count("\n"))
