"""From the config's sinks to the sinks themselves."""

from __future__ import annotations

from collections.abc import Sequence

from handlebar.core.plane import ControlPlane
from handlebar.core.sinks.base import Sink
from handlebar.core.sinks.config import ConsoleSinkConfig, HttpSinkConfig, JsonlSinkConfig
from handlebar.core.sinks.console import create_console_sink
from handlebar.core.sinks.http import create_http_sink, plane_sink
from handlebar.core.sinks.jsonl import create_jsonl_sink

AnySink = HttpSinkConfig | ConsoleSinkConfig | JsonlSinkConfig | Sink
"""A sink, or the config of one."""


def build_sinks(configured: Sequence[AnySink] | None, plane: ControlPlane) -> list[Sink]:
    """Return the sinks; where nothing is said, events go to the control plane."""
    return [_built(one, plane) for one in ((HttpSinkConfig(),) if configured is None else configured)]


def _built(configured: AnySink, plane: ControlPlane) -> Sink:
    if isinstance(configured, Sink):
        return configured
    if isinstance(configured, ConsoleSinkConfig):
        return create_console_sink(configured)
    if isinstance(configured, JsonlSinkConfig):
        return create_jsonl_sink(configured)
    return plane_sink(plane, configured) if configured.endpoint is None else create_http_sink(configured)
