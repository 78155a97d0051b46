"""Answers as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from handlebar.control.lockdowns import LockdownRecord
from handlebar.control.moments import microseconds
from handlebar.core.plane import Lockdown
from handlebar.core.wire import timestamp


def encode(answer: Mapping[str, Any]) -> str:
    """Return *answer* as JSON, its times in UTC."""
    return json.dumps(answer, default=_written, separators=(",", ":"))


def told(lockdown: Lockdown) -> dict[str, Any]:
    """Return what a run is told that starts."""
    known = {"active": lockdown.active, "reason": lockdown.reason, "until_ts": lockdown.until_ts}
    return _present(known)


def of_all(lockdowns: Sequence[LockdownRecord]) -> dict[str, Any]:
    """Return what a run is told that acts for nobody in particular, under *lockdowns* of its agent."""
    for each in lockdowns:
        if each.actor_id is None and each.tool_name is None:
            until = None if each.until is None else microseconds(each.until) // 1000
            return told(Lockdown(active=True, reason=each.reason, until_ts=until))
    return told(Lockdown())


def lockdown(record: LockdownRecord) -> dict[str, Any]:
    """Return a lockdown; who and what it is about is named as in the order for it."""
    known = {"id": record.id, "agentId": record.agent_id, "actor": record.actor_id, "tool": record.tool_name}
    return _present({**known, "reason": record.reason, "until": record.until, "since": record.since})


def _present(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _written(value: object) -> str:
    if not isinstance(value, datetime):
        raise TypeError(type(value).__name__)
    return timestamp(microseconds(value) * 1000)
