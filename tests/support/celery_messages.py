"""Messages of Celery tasks, on a broker in memory: what publishers write into them."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest


class Outbox:
    """
    An app that publishes a task that nobody executes. While it lives nobody listens to publishers who did before.

    Args:
        monkeypatch: Restores who listens.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        celery = pytest.importorskip("celery", reason="Celery is not installed: pip install handlebar[celery]")
        monkeypatch.setattr(celery.signals.before_task_publish, "receivers", [])
        self._queue = uuid4().hex
        self._app = celery.Celery(broker="memory://", set_as_current=False)
        self._app.conf.task_default_queue = self._queue

    def publish(self) -> None:
        """Publish the task."""
        self._app.send_task("a.task")

    def lineage(self) -> dict[str, Any] | None:
        """Return what the message tells of where it was published, less our version; None where it tells nothing."""
        with self._app.connection() as connection, connection.SimpleQueue(self._queue) as queue:
            message = queue.get(timeout=10)
            message.ack()
        told = message.headers.get("handlebar")
        return told and {name: value for name, value in told.items() if name != "v"}
