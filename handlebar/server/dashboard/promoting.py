"""From shadow into force: what rules in shadow would have done, and the button that lets them do it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import evolve, frozen

from handlebar.control.browsing import EventFilter, RunFilter
from handlebar.control.service import EmbeddedControlPlane
from handlebar.core.schema.rules import Policy, Rule
from handlebar.errors import RefusedError
from handlebar.policy import policy_to_dict
from handlebar.server.dashboard.pages import Page, Visit, go_to, refused

_RUNS = 20
_EVENTS = 500
_SHOWN = 20


@frozen(kw_only=True)
class WouldHave:
    """
    A call that a rule in shadow would have stopped, or asked a person about.

    Attributes:
        data: Of the decision; untrusted.

        effect: What the rule would have done.
    """

    run_id: str
    ts: str
    data: Mapping[str, Any]
    effect: str


@frozen(kw_only=True)
class InShadow:
    """A rule in shadow, with the latest calls that it would have done something about."""

    rule: Rule
    calls: tuple[WouldHave, ...]


def in_shadow(plane: EmbeddedControlPlane, policy: Policy) -> list[InShadow]:
    """Return the rules of *policy* that are in shadow."""
    rules = [rule for rule in policy.rules if "shadow" in (policy.mode, rule.mode) and rule.enabled]
    return [InShadow(rule=rule, calls=tuple(_calls(plane, rule.id))) for rule in rules]


def promoted(policy: Policy, rule_id: str) -> Policy:
    """Return *policy* with that rule in force, or itself and all its rules where that is empty."""
    if rule_id:
        rules = [evolve(rule, mode=None) if rule.id == rule_id else rule for rule in policy.rules]
        return evolve(policy, rules=tuple(rules))
    return evolve(policy, mode="enforce")


def _calls(plane: EmbeddedControlPlane, rule_id: str) -> Iterator[WouldHave]:
    """Yield the latest calls that the rule would have done something about, those of the newest run first."""
    left = _SHOWN
    for run in plane.page_of_runs(RunFilter(shadow=rule_id), limit=_RUNS).items:
        decisions = EventFilter(agent=run.agent_id, run=run.run_id, kind="tool.decision")
        for event in plane.page_of_events(decisions, limit=_EVENTS).items:
            body = event.read()
            data = body.get("data", {}) if isinstance(body, dict) else {}
            effect = _effect(data, rule_id)
            if effect is not None and left:
                left -= 1
                yield WouldHave(run_id=run.run_id, ts=event.ts, data=data, effect=effect)


def _effect(data: Any, rule_id: str) -> str | None:
    listed = data.get("shadow") if isinstance(data, dict) else None
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, dict) and each.get("ruleId") == rule_id:
            return str(each.get("effect"))
    return None


def _promote(visit: Visit) -> Any:
    version = visit.field("version")
    if not version.isdecimal() or len(version) > 9:
        return refused(visit, 400, "Say which version you have seen.")
    record = visit.plane.policy_record(visit.names["policy_id"])
    if record.policy is None:
        raise RefusedError("It was taken back", status=404)
    newer = promoted(record.policy, visit.field("rule"))
    visit.plane.put_policy(policy_to_dict(newer), if_version=int(version))
    return go_to("policy", policy_id=record.policy_id, said="In force from the next decision on.")


PAGES = (Page("POST", "/policies/<path:policy_id>/promote", "policy_promote", _promote, changes=True),)
