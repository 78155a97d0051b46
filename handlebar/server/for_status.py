"""What an SDK asks again and again: how its agent stands, and what is left of its budgets."""

from __future__ import annotations

from typing import Any

from attrs import asdict

from handlebar.core.plane import Presence
from handlebar.server import encoding
from handlebar.server.asking import Asked, Route
from handlebar.server.problems import malformed
from handlebar.server.tenants import SECONDS

_LONGEST_NAME = 200
_MOST_NAMES = 100


def _status(asked: Asked) -> str:
    status = asked.plane.agent_status(_agent_id(asked), _presence(asked), budget=SECONDS)
    known = asked.plane.lockdowns(asked.agent_slug)
    return encoding.encode(
        {
            "lockdown": encoding.of_all(known),
            "lockdowns": [encoding.lockdown(each) for each in known],
            "policies": [asdict(each) for each in status.policies],
        }
    )


def _budget(asked: Asked) -> str:
    found = asked.plane.budgets(_agent_id(asked), _names(asked, "actor"), budget=SECONDS)
    answer: dict[str, Any] = {"expires_seconds": found.expires_seconds}
    return encoding.encode({**answer, "responses": [asdict(each) for each in found.grants]})


def _agent_id(asked: Asked) -> str:
    return asked.tenants.agent_id_of(asked.tenant, asked.names["agent"])


def _presence(asked: Asked) -> Presence | None:
    """Return who asks; None where that is not said, as by clients that know no confirmations."""
    process, host, obeys = _name_or_none(asked, "process"), _name_or_none(asked, "host"), _names(asked, "obeys")
    return None if process is None else Presence(process=process, host=host or "unknown", obeys=obeys)


def _name_or_none(asked: Asked, parameter: str) -> str | None:
    names = _names(asked, parameter)
    return names[-1] if names else None


def _names(asked: Asked, parameter: str) -> tuple[str, ...]:
    """Return what a parameter says, each time that it is there; raises `ProblemError` where that is too much."""
    names = tuple(asked.request.args.getlist(parameter))
    if len(names) > _MOST_NAMES or not all(0 < len(each) <= _LONGEST_NAME for each in names):
        raise malformed(parameter, f"at most {_MOST_NAMES} names of at most {_LONGEST_NAME} characters")
    return names


ROUTES = (
    Route("GET", "/v1/agents/<name:agent>/status", "agent", _status),
    Route("GET", "/v1/agents/<name:agent>/metrics/budget", "agent", _budget),
)
