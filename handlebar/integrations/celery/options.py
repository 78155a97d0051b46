"""The task option `handlebar`: whether a task is governed, and whether each execution is a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen


@frozen(kw_only=True)
class TaskOptions:
    """
    What a task has to say; the app's configuration says the rest.

    Attributes:
        is_governed: False leaves the task alone.

        opens_run: Whether each execution is a run of its own; if not, it only passes on where it comes from.

        approval_seconds: So long a parked task waits for a person at most.

        look_seconds: Seconds between two looks whether the person has answered; the first ones come sooner.
    """

    is_governed: bool = True
    opens_run: bool = False
    approval_seconds: float = 24 * 3600.0
    look_seconds: float = 60.0


_NOT_GOVERNED = TaskOptions(is_governed=False)


def options_of(task: Any) -> TaskOptions:
    """Return the options of *task*: its own `handlebar`, or the app's `handlebar_…`."""
    said = getattr(task, "handlebar", None)
    if said is False:
        return _NOT_GOVERNED
    own: Mapping[str, Any] = said if isinstance(said, Mapping) else {}
    conf = task.app.conf
    return TaskOptions(
        opens_run=bool(own.get("run", conf.get("handlebar_run_per_task", False))),
        approval_seconds=float(own.get("approval_seconds", conf.get("handlebar_approval_seconds", 24 * 3600.0))),
        look_seconds=float(own.get("look_seconds", conf.get("handlebar_look_seconds", 60.0))),
    )
