"""
Who writes a run's hand-off packet.

Like `core/endpoints.py` it looks upward, by name: hand-offs stand on runs, and a run can be asked for its packet all
the same. They are imported when that is done.
"""

from __future__ import annotations

from typing import Any

from handlebar.core.minutes import Minutes


def packet_builder(minutes: Minutes, *, run_id: str, session_id: str | None, agent: str) -> Any:
    """Return a `handlebar.handoff.PacketBuilder` that holds what was said and decided in the run."""
    from handlebar.handoff.run_link import builder_of

    return builder_of(minutes, run_id=run_id, session_id=session_id, agent=agent)
