"""The console sink: events are printed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Literal

from handlebar.core import wire
from handlebar.core.schema.events import AuditEvent
from handlebar.core.sinks.base import Sink
from handlebar.core.sinks.config import ConsoleSinkConfig
from handlebar.core.sinks.queued import QueuedSink
from handlebar.core.sinks.threaded import ThreadedSink

_INTERVAL = 0.1


class ConsoleSink(Sink):
    """Writes to the standard output, whatever that is at the time; belongs to one process."""

    def __init__(self, *, pretty: bool) -> None:
        self._line = _pretty_line if pretty else _json_line

    def write_batch(self, agent_id: str, events: Sequence[AuditEvent]) -> None:
        """Print *events*, one a line."""
        sys.stdout.write("".join(f"{self._line(event)}\n" for event in events))
        sys.stdout.flush()


def create_console_sink(format: Literal["json", "pretty"] = "json") -> QueuedSink:  # noqa: A002  # a documented name
    """
    Return a sink that prints events.

    Raises:
        ConfigError: *format* is neither `json` nor `pretty`.
    """
    config = ConsoleSinkConfig(format)
    return ThreadedSink(ConsoleSink(pretty=config.format == "pretty"), interval=_INTERVAL)


def _json_line(event: AuditEvent) -> str:
    return wire.encode_event(event).text


def _pretty_line(event: AuditEvent) -> str:
    """Return time, run, kind and what matters most; control characters of untrusted text are shown as escapes."""
    shown = wire.event_to_dict(event)
    line = f"{shown['ts'][11:23]}  {event.run_id[-12:]:>12}  {event.kind:<19}  {_summary(event.kind, shown['data'])}"
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in line)


def _summary(kind: str, data: dict[str, Any]) -> str:
    tool = data.get("tool", {}).get("name")
    if kind == "tool.decision":
        return f"{tool}: {data['verdict']} {data['control']}: {data['message']}"
    if kind == "tool.result":
        return f"{tool}: {data['outcome']} in {data.get('durationMs', 0):.1f} ms"
    if kind == "message.raw.created":
        return f"{data['role']}: {data['content'][:80]}"
    if kind == "llm.result":
        return f"{data['model']['name']}: {data['tokens']['in']} tokens in, {data['tokens']['out']} out"
    return str(data.get("status") or data.get("message") or data.get("agent", {}).get("name") or "")
