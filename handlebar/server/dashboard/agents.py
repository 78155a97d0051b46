"""Agents: what they may do, who is locked down, and which processes obey."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from handlebar.control.standing import status_of
from handlebar.server.dashboard.pages import Page, Visit, go_to, refused, show

_HOURS = {"1": 1, "8": 8, "24": 24, "168": 168}


def _agents(visit: Visit) -> str:
    plane = visit.plane
    agents, policies = plane.agents(), [record.policy for record in plane.policy_records() if record.policy]
    states = {each.id: status_of(each.described, policies, ()).policies for each in agents}
    return show("agents.html", visit, agents=agents, states=states, standings=plane.lockdown_standings(), hours=_HOURS)


def _lock_down(visit: Visit) -> Any:
    reason = visit.field("reason")
    if not reason:
        return refused(visit, 400, "Say why: the agent, its users and your colleagues will read it.")
    hours = _HOURS.get(visit.field("hours"))
    until = None if hours is None else datetime.now(timezone.utc) + timedelta(hours=hours)
    actor, tool = visit.field("actor") or None, visit.field("tool") or None
    visit.plane.lock_down(visit.names["slug"], reason, until=until, actor=actor, tool=tool)
    return go_to("agents", said="Locked down: in force from the next decision on.")


def _lift(visit: Visit) -> Any:
    slug, lockdown_id = visit.names["slug"], visit.field("lockdown")
    for each in visit.plane.lockdowns(slug):
        if each.id == lockdown_id:
            visit.plane.lift_lockdown(slug, actor=each.actor_id, tool=each.tool_name)
    return go_to("agents", said="Lifted.")


PAGES = (
    Page("GET", "/agents", "agents", _agents),
    Page("POST", "/agents/<path:slug>/lockdown", "lock_down", _lock_down, changes=True),
    Page("POST", "/agents/<path:slug>/lift", "lift", _lift, changes=True),
)
