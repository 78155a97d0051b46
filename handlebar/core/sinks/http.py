"""The HTTP sink: events go to a control plane."""

from __future__ import annotations

from typing import Any

from handlebar._plumbing.counting import Tally
from handlebar.core.plane import ControlPlane
from handlebar.core.sinks.config import HttpSinkConfig
from handlebar.core.sinks.delivering import PlaneCourier
from handlebar.core.sinks.queued import QueuedSink, QueueSettings
from handlebar.errors import ConfigError


def create_http_sink(endpoint: str, api_key: str, **settings: Any) -> QueuedSink:
    """
    Return a sink that sends to *endpoint*.

    Args:
        endpoint: The base URL of a control plane.

        api_key: The key to it.

        settings: Every other field of `HttpSinkConfig`.

    Raises:
        ConfigError: One of them has a value that is not allowed.
    """
    return http_sink(HttpSinkConfig(endpoint, api_key, **settings))


def http_sink(config: HttpSinkConfig) -> QueuedSink:
    """
    Return a sink that sends to the endpoint of *config*.

    Raises:
        ConfigError: *config* names no endpoint, or no key to it.
    """
    if config.endpoint is None or config.api_key is None:
        missing = "endpoint" if config.endpoint is None else "api_key"
        raise ConfigError(f"HttpSinkConfig.{missing}", None, "both an endpoint and an api_key, or neither")
    # requests is loaded by the first sink that needs it.
    from handlebar.core.api import HttpControlPlane

    plane = HttpControlPlane(config.endpoint, config.api_key, connect_timeout=5.0, read_timeout=10.0)
    return _sink(plane, config, owned=True)


def plane_sink(plane: ControlPlane, config: HttpSinkConfig | None = None) -> QueuedSink:
    """Return a sink that records with *plane*, which somebody else closes."""
    return _sink(plane, config or HttpSinkConfig(), owned=False)


def _sink(plane: ControlPlane, config: HttpSinkConfig, *, owned: bool) -> QueuedSink:
    settings = QueueSettings(
        name="handlebar-events",
        depth=config.queue_depth,
        interval=config.flush_interval_ms / 1000,
        timeout=config.flush_timeout_ms / 1000,
    )

    def courier(tally: Tally) -> PlaneCourier:
        close = plane.close if owned else _nothing
        return PlaneCourier(plane.record, tally, room=config.max_batch_size, close=close)

    return QueuedSink(courier, settings)


def _nothing() -> None:
    """Close nothing: the control plane belongs to the client."""
