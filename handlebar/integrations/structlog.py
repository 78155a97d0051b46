"""A structlog processor that puts the current run on every event."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from handlebar.core.current import get_current_run


def add_run(logger: Any, method_name: str, event_dict: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add `handlebar_run_id` and `handlebar_session_id`, where there is a run and it has one; keep what is there."""
    run = get_current_run()
    if run is not None:
        event_dict.setdefault("handlebar_run_id", run.run_id)
        if run.session_id is not None:
            event_dict.setdefault("handlebar_session_id", run.session_id)
    return event_dict
