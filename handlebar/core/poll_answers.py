"""The answers to polls, read: how the agent stands, and what is left of its budgets."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from handlebar.core.budgets import BudgetGrant
from handlebar.core.plane import AgentStatus, Grants, LockdownNotice, PolicyState, PolicyStatus
from handlebar.core.wire import nanoseconds
from handlebar.errors import BadAnswerError

_SHORTEST, _LONGEST = 1.0, 3600.0
"""What an answer may ask for between two polls of budgets, in seconds."""


def decode_status(body: bytes) -> AgentStatus:
    """
    Read how an agent stands; null and absent mean the same.

    Raises:
        BadAnswerError: What is said of lockdowns cannot be understood.
    """
    try:
        answer = _object(json.loads(body))
        return AgentStatus(_lockdowns(answer), tuple(_policies(answer)))
    except Exception as error:  # untrusted text can go wrong in any way, deep nesting included
        raise _bad(error) from error


def decode_budgets(body: bytes) -> Grants:
    """
    Read what is left of budgets.

    Raises:
        BadAnswerError: It cannot be understood.
    """
    try:
        answer = _object(json.loads(body))
        return Grants(
            _seconds(answer["expires_seconds"]), tuple(_grant(_object(each)) for each in _list(answer, "responses"))
        )
    except Exception as error:  # as above
        raise _bad(error) from error


def _lockdowns(answer: Mapping[str, Any]) -> tuple[LockdownNotice, ...]:
    """Read the list, and the word on the whole agent, which is all that some control planes say."""
    listed = tuple(_notice(_object(each)) for each in _list(answer, "lockdowns"))
    whole = _object(answer.get("lockdown") or {})
    if whole.get("active") is not True or any(each.actor is None and each.tool is None for each in listed):
        return listed
    return (*listed, LockdownNotice(reason=whole.get("reason"), until_ts=_number_or_none(whole.get("until_ts"))))


def _notice(entry: Mapping[str, Any]) -> LockdownNotice:
    until = entry.get("until")
    return LockdownNotice(
        id=entry.get("id"),
        reason=entry.get("reason"),
        actor=entry.get("actor"),
        tool=entry.get("tool"),
        until_ts=None if until is None else nanoseconds(until) // 1_000_000,
    )


def _policies(answer: Mapping[str, Any]) -> list[PolicyStatus]:
    """Read the policies; nothing hangs on them here, so one that is not understood is left out."""
    entries = [each for each in _list(answer, "policies") if isinstance(each, dict)]
    return [
        PolicyStatus(str(each.get("id")), str(each.get("name")), each["status"])
        for each in entries
        if each.get("status") in get_args(PolicyState)
    ]


def _grant(entry: Mapping[str, Any]) -> BudgetGrant:
    return BudgetGrant(
        id=entry["id"],
        decision=entry["decision"],
        grant=entry.get("grant"),
        computed=entry.get("computed"),
        expires_seconds=entry.get("expires_seconds"),
    )


def _seconds(value: Any) -> float:
    # A NaN is no number of seconds, and differs from itself.
    if not isinstance(value, (int, float)) or value != value:
        raise TypeError("expires_seconds")
    return float(min(max(value, _SHORTEST), _LONGEST))


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("an object was expected")
    return value


def _list(answer: Mapping[str, Any], key: str) -> Sequence[Any]:
    value = answer.get(key)
    if not isinstance(value, (list, type(None))):
        raise TypeError(key)
    return value or ()


def _number_or_none(value: Any) -> int | None:
    return None if value is None else int(value)


def _bad(error: Exception) -> BadAnswerError:
    return BadAnswerError(f"The answer to a poll cannot be read ({type(error).__name__})")
