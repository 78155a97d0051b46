"""
Tasks that wait for a person: published again, with what the run is found by, until somebody has answered.

No worker is held meanwhile. Each look is a message of its own that comes back later; the task's code runs again, from
its beginning, only when there is an answer, or when the time is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve, field, frozen
from attrs.validators import instance_of

from handlebar._plumbing.clock import time_ns
from handlebar.integrations.celery.headers import Header
from handlebar.integrations.celery.sealing import Sealing

HEADER = Header("handlebar_parked", 8192)

_FIRST_LOOK = 2.0


@frozen(kw_only=True)
class Parked:
    """
    A task that waits.

    Attributes:
        token: What the run is resumed by.

        approval_id: The question to the person.

        since: When the task began to wait, in seconds since 1970.

        looks: How often it was looked for an answer.
    """

    token: str = field(validator=instance_of(str))
    approval_id: str = field(validator=instance_of(str))
    since: float = field(validator=instance_of((int, float)))
    looks: int = field(default=0, validator=instance_of(int))

    def may_wait(self, seconds: float) -> bool:
        """Whether it waits for less than *seconds* so far."""
        return now() - self.since < seconds

    def after_a_look(self) -> Parked:
        """Return it with one more look taken."""
        return evolve(self, looks=self.looks + 1)

    def next_look(self, longest: float) -> float:
        """Return in how many seconds to look for an answer: soon at first, in case somebody is sitting there."""
        return float(min(_FIRST_LOOK * 2 ** min(self.looks, 16), longest))


def now() -> float:
    """Return seconds since 1970."""
    return time_ns() / 1e9


def write(parked: Parked, task_id: str, sealing: Sealing) -> dict[str, Any] | None:
    """Return the header's content; None where it is too long."""
    content = {
        "token": parked.token,
        "approval": parked.approval_id,
        "since": parked.since,
        "looks": parked.looks,
    }
    return HEADER.written(content, task_id, sealing)


def read(headers: Mapping[str, Any], task_id: str, sealing: Sealing) -> Parked | None:
    """Return what the header tells; None where there is none, or junk."""
    content = HEADER.read(headers, task_id, sealing)
    if content is None:
        return None
    said: dict[str, Any] = {"token": content.get("token"), "approval_id": content.get("approval")}
    try:
        return Parked(**said, since=content["since"], looks=content["looks"])
    except (KeyError, TypeError):
        return None
