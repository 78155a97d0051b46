"""Idempotency keys: what each call was answered, so that repeating it does nothing a second time."""

from __future__ import annotations

import json
from typing import Any

from attrs import frozen
from sqlalchemy import Connection, delete, insert, select

from handlebar._plumbing import safe_json
from handlebar._plumbing.clock import time_ns
from handlebar.control.handoffs.problems import ProblemError
from handlebar.control.tables import handoff_answers

KEPT_SECONDS = 48 * 3600
"""So long a call may be repeated; the API promises a day."""

_LONGEST_KEY = 255


@frozen(kw_only=True)
class Once:
    """
    A call that is to be done once.

    Attributes:
        key: The idempotency key, which is its tenant's.

        digest: Of everything else in the call.
    """

    tenant: str
    key: str
    digest: str


def find(connection: Connection, once: Once) -> tuple[int, Any] | None:
    """
    Return the status and body that the call was answered with; None where it was not made yet.

    Raises:
        ProblemError: The key was used for another call, or is none (422); the answer was shown once, and is kept
            nowhere (409).
    """
    if len(once.key) > _LONGEST_KEY:
        raise ProblemError(422, f"The idempotency key is longer than {_LONGEST_KEY} characters")
    mine = (handoff_answers.c.tenant == once.tenant, handoff_answers.c.key == once.key)
    row = connection.execute(select(handoff_answers).where(*mine)).first()
    if row is None:
        return None
    if row.digest != once.digest:
        raise ProblemError(422, "The idempotency key was used for another call already")
    if row.body is None:
        raise ProblemError(409, "This was done already, and its answer is shown only once")
    return row.status, json.loads(row.body)


def keep(connection: Connection, once: Once, status: int, body: Any, *, secret: bool) -> None:
    """Remember what the call was answered with, or if that is *secret* only that it was; forget what is old."""
    now = time_ns() // 1000
    connection.execute(delete(handoff_answers).where(handoff_answers.c.at < now - KEPT_SECONDS * 1_000_000))
    known = {"tenant": once.tenant, "key": once.key, "digest": once.digest, "status": status, "at": now}
    connection.execute(insert(handoff_answers).values(**known, body=None if secret else safe_json.encode(body)))
