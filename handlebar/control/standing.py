"""How an agent stands: its lockdowns, and its policies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from handlebar.control.lockdowns import LockdownRecord
from handlebar.control.moments import microseconds
from handlebar.core.plane import AgentStatus, LockdownNotice, PolicyState, PolicyStatus
from handlebar.core.schema.agents import AgentDescriptor
from handlebar.core.schema.rules import Policy
from handlebar.policy.selecting import selects_agent


def status_of(agent: AgentDescriptor, policies: Iterable[Policy], lockdowns: Iterable[LockdownRecord]) -> AgentStatus:
    """Return how *agent* stands under its *lockdowns*, and those of *policies* that are for it."""
    return AgentStatus(
        tuple(_notice(each) for each in lockdowns),
        tuple(PolicyStatus(each.id, each.name, _state(each)) for each in policies_for(agent, policies)),
    )


def policies_for(agent: AgentDescriptor, policies: Iterable[Policy]) -> Iterator[Policy]:
    """Yield those of *policies* that are for *agent*, whether they are enabled or not."""
    for each in policies:
        if selects_agent(each.agent_selector, slug=agent.slug, tags=agent.tags or ()):
            yield each


def of_agent(lockdowns: Sequence[LockdownRecord], agent_id: str) -> tuple[LockdownRecord, ...]:
    """Return those of *lockdowns* that are about an agent, and not over."""
    return tuple(each for each in lockdowns if each.agent_id == agent_id and not each.is_over)


def _state(policy: Policy) -> PolicyState:
    if not policy.enabled:
        return "disabled"
    return "shadow" if policy.mode == "shadow" else "enabled"


def _notice(lockdown: LockdownRecord) -> LockdownNotice:
    return LockdownNotice(
        id=lockdown.id,
        reason=lockdown.reason,
        actor=lockdown.actor_id,
        tool=lockdown.tool_name,
        until_ts=None if lockdown.until is None else microseconds(lockdown.until) // 1000,
    )
