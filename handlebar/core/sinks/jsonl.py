"""The JSONL sink: events are appended to a file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from handlebar._plumbing import safe_json
from handlebar.core import wire
from handlebar.core.schema.events import AuditEvent
from handlebar.core.sinks.base import Sink
from handlebar.core.sinks.config import JsonlSinkConfig
from handlebar.core.sinks.queued import QueuedSink
from handlebar.core.sinks.threaded import ThreadedSink


class JsonlSink(Sink):
    """
    Appends to a file, which is opened for each batch: it may be moved away or lost between two batches.

    Each batch is one write at the end of the file, so lines of several processes do not mix.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)

    def write_batch(self, agent_id: str, events: Sequence[AuditEvent]) -> None:
        """Append *events*, one JSON object a line, each with its `agentId`."""
        agent = safe_json.encode(agent_id)
        lines = [f'{{"agentId":{agent},{wire.encode_event(event).text[1:]}\n' for event in events]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab", buffering=0) as file:
            _write_all(file.fileno(), "".join(lines).encode())


def create_jsonl_sink(path: str | os.PathLike[str]) -> QueuedSink:
    """
    Return a sink that appends events to the file at *path*.

    Raises:
        ConfigError: *path* is no path.
    """
    return ThreadedSink(JsonlSink(JsonlSinkConfig(path).path))


def _write_all(descriptor: int, data: bytes) -> None:
    """Write *data* at once, as a rule; a nearly full disk takes it in pieces."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
