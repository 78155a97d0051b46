"""What is left of an agent's budgets: the limits that enforced rules set to sums and counts of metrics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from attrs import evolve, frozen
from sqlalchemy import Connection

from handlebar._plumbing.clock import time_ns
from handlebar.control import history
from handlebar.control.history import Caller
from handlebar.control.standing import policies_for
from handlebar.core.budgets import BudgetGrant
from handlebar.core.plane import Grants
from handlebar.core.schema.agents import AgentDescriptor
from handlebar.core.schema.rules import AndCondition, MetricWindowCondition, Policy, Rule, RuleCondition
from handlebar.policy.facts import MetricQuery, UnavailableError
from handlebar.policy.ruling import is_in_shadow

EXPIRES_SECONDS = 60.0
"""How long an answer is to be believed, at most."""

_WHEN_REACHED = {"block": "block", "hitl": "defer"}


@frozen(kw_only=True)
class _Budget:
    """
    A rule's limit to a metric.

    Attributes:
        id: The rule's id; with a number, where that rule has several limits.
    """

    id: str
    rule: Rule
    limit: MetricWindowCondition


def grants(
    connection: Connection, policies: Iterable[Policy], agent_id: str, agent: AgentDescriptor, actors: Sequence[str]
) -> Grants:
    """Return what is left to an agent, and to each of *actors* (external ids), by the sums as they are now."""
    caller = Caller(agent_id=agent_id, run_id="", actor_id=None, run_tags={}, at=time_ns() // 1000)
    callers = [evolve(caller, actor_id=actor) for actor in actors]
    return Grants(
        EXPIRES_SECONDS,
        tuple(
            _grant(connection, each, budget)
            for budget in _budgets(policies, agent)
            for each in (callers if budget.limit.scope == "agent_user" else [caller])
        ),
    )


def _budgets(policies: Iterable[Policy], agent: AgentDescriptor) -> Iterator[_Budget]:
    for policy in policies_for(agent, policies):
        for rule in policy.rules if policy.enabled else ():
            if rule.enabled and rule.effect.type in _WHEN_REACHED and not is_in_shadow(rule, policy):
                yield from _budgets_of(rule)


def _budgets_of(rule: Rule) -> Iterator[_Budget]:
    for number, limit in enumerate(_limits(rule.condition), 1):
        yield _Budget(id=rule.id if number == 1 else f"{rule.id}#{number}", rule=rule, limit=limit)


def _limits(condition: RuleCondition) -> Iterator[MetricWindowCondition]:
    """Yield what *condition* bounds from above; a run's own sums are nobody else's budget."""
    if isinstance(condition, AndCondition):
        for part in condition.all:
            yield from _limits(part)
    elif (
        isinstance(condition, MetricWindowCondition)
        and condition.scope != "run"
        and condition.aggregate in ("sum", "count")
        and condition.op in ("gt", "gte")
    ):
        yield condition


def _grant(connection: Connection, caller: Caller, budget: _Budget) -> BudgetGrant:
    limit = budget.limit
    used = _used(connection, caller, limit)
    reached = used > limit.value or (limit.op == "gte" and used == limit.value)
    known = {
        "actor": caller.actor_id,
        "metric": limit.metric.key,
        "aggregate": limit.aggregate,
        "windowSeconds": limit.window_seconds,
        "used": used,
        "limit": limit.value,
    }
    return BudgetGrant(
        id=budget.id if caller.actor_id is None else f"{budget.id}:{caller.actor_id}",
        decision=_WHEN_REACHED[budget.rule.effect.type] if reached else "allow",
        grant=max(0.0, limit.value - used),
        computed={name: value for name, value in known.items() if value is not None},
        expires_seconds=min(EXPIRES_SECONDS, limit.window_seconds or EXPIRES_SECONDS),
    )


def _used(connection: Connection, caller: Caller, limit: MetricWindowCondition) -> float:
    query = MetricQuery(
        scope=limit.scope, key=limit.metric.key, aggregate=limit.aggregate, window_seconds=limit.window_seconds
    )
    try:
        return history.metric(connection, caller, query, None)
    except UnavailableError:  # nothing was measured yet
        return 0.0
