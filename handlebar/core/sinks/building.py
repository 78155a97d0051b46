"""From the config's sinks to the sinks themselves."""

from __future__ import annotations

from collections.abc import Sequence

from handlebar.core.plane import ControlPlane
from handlebar.core.sinks.base import Sink
from handlebar.core.sinks.config import ConsoleSinkConfig, HttpSinkConfig, JsonlSinkConfig
from handlebar.core.sinks.console import create_console_sink
from handlebar.core.sinks.http import http_sink, plane_sink
from handlebar.core.sinks.jsonl import create_jsonl_sink

AnySink = HttpSinkConfig | ConsoleSinkConfig | JsonlSinkConfig | Sink
"""A sink, or the config of one."""


OVER_HTTP = HttpSinkConfig()
"""Where events go by default, to a control plane over HTTP."""

IN_PROCESS = HttpSinkConfig(queue_depth=10_000, max_batch_size=500)
"""The same for an embedded control plane: nothing has to be small for a network's sake, and a batch is one commit."""


def build_sinks(configured: Sequence[AnySink], plane: ControlPlane) -> list[Sink]:
    """Return the sinks, some of which may go to *plane*."""
    return [_built(one, plane) for one in configured]


def _built(configured: AnySink, plane: ControlPlane) -> Sink:
    if isinstance(configured, Sink):
        return configured
    if isinstance(configured, ConsoleSinkConfig):
        return create_console_sink(configured.format)
    if isinstance(configured, JsonlSinkConfig):
        return create_jsonl_sink(configured.path)
    return plane_sink(plane, configured) if configured.endpoint is None else http_sink(configured)
