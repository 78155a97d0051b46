"""What a task's message tells of where it was published; the half that publishers need, who have no worker."""

from __future__ import annotations

from typing import Any

from handlebar.integrations.celery import lineage
from handlebar.integrations.celery.claims import RUN_ID


def connect() -> None:
    """Let every task that is published in this process tell where it comes from; twice does no harm."""
    from celery import signals  # only where the application has it

    signals.before_task_publish.connect(tell, weak=False, dispatch_uid="handlebar")


def tell(headers: Any = None, **more: Any) -> None:
    """A task is about to be published; what its message tells already is kept, as when it is tried again."""
    from handlebar.integrations.celery import apps  # Celery's apps, which take their time to import, are here by now

    task_id = (headers or {}).get("id")
    if task_id is None:  # a message of protocol 1 has no headers
        return
    headers.pop(RUN_ID, None)
    sealing = apps.publishing()
    if lineage.read(headers, task_id, sealing) is None:
        written = lineage.write(lineage.lineage_here(), task_id, sealing)
        if written is not None:
            headers[lineage.HEADER.name] = written
