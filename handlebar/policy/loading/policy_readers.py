"""How policies and rules are read."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from handlebar.core.schema import rules
from handlebar.policy.loading import dead_rules
from handlebar.policy.loading.condition_parts import EFFECTS, ON_MISSING, READ_ALREADY
from handlebar.policy.loading.condition_readers import read_condition
from handlebar.policy.loading.naming import rule_slug, slug
from handlebar.policy.loading.reading import (
    Key,
    Spot,
    choice,
    label,
    list_of,
    maybe,
    needed,
    number,
    one_or_list_of,
    record,
    stop_if_noted,
    text,
    truth,
    whole_number,
    word,
)

_TEXTS = maybe(list_of(text()))
_MODE = maybe(word(("enforce", "shadow")))

_tool = record(
    rules.ToolPattern,
    {"name": maybe(one_or_list_of(text())), "tagsAny": _TEXTS, "tagsAll": _TEXTS},
)
_selector = record(
    rules.RuleSelector,
    {"phase": needed(word(("tool.before", "tool.after"))), "tool": maybe(_tool)},
)

_REASON = {"type": READ_ALREADY, "reason": maybe(text(least=0, most=500))}
_REFUSAL = {
    **_REASON,
    "control": maybe(word(("CONTINUE", "TERMINATE"))),
    "guidance": maybe(text(most=2000)),
}
_terms = record(
    rules.ApprovalTerms,
    {
        "required": maybe(whole_number(at_least=1)),
        "approvers": _TEXTS,
        "expiresInSeconds": maybe(number(above=0)),
        "uses": maybe(whole_number(at_least=1)),
    },
)


def _approval(spot: Spot) -> rules.ApprovalTerms:
    """Read terms that can be met."""
    terms: rules.ApprovalTerms = _terms(spot)
    if terms.approvers is not None and terms.required > len(set(terms.approvers)):
        raise spot.problem(f"{terms.required} have to approve; expected at most the number of approvers", "required")
    return terms


_effect = choice(
    "type",
    {
        "allow": record(rules.RuleEffect, _REASON),
        "hitl": record(rules.RuleEffect, {**_REFUSAL, "approval": maybe(_approval)}),
        "block": record(rules.RuleEffect, _REFUSAL),
    },
)


def _nameless_rule(**values: Any) -> rules.Rule:
    """Make a rule whose ids are filled in when its policy is known."""
    return rules.Rule(**{"id": "", "policy_id": "", **values})


_rule_alone = record(
    _nameless_rule,
    {
        "id": maybe(label(400)),
        "policyId": maybe(label(200)),
        "name": needed(label(200)),
        "enabled": maybe(truth),
        "priority": maybe(whole_number()),
        "selector": needed(_selector),
        "condition": needed(read_condition),
        "effect": needed(_effect),
        "onMissing": ON_MISSING,
        "mode": _MODE,
    },
)


def _rule(spot: Spot) -> rules.Rule:
    """Read a rule that can match something."""
    noted = len(spot.problems)
    rule: rules.Rule = _rule_alone(spot)
    dead_rules.note_contradictions(rule, spot)
    stop_if_noted(spot, noted)
    return rule


def _policy(**values: Any) -> rules.Policy:
    """Make a policy, and fill in the ids that were left out."""
    policy = rules.Policy(**{"id": slug(values["name"]), **values})
    return evolve(policy, rules=tuple(_named(rule, policy.id) for rule in policy.rules))


def _named(rule: rules.Rule, policy_id: str) -> rules.Rule:
    return evolve(rule, id=rule.id or rule_slug(policy_id, rule.name), policy_id=policy_id)


def _platform_policy(policy: dict[str, Any], rules: tuple[rules.Rule, ...]) -> rules.Policy:
    return _policy(**policy, rules=rules)


_agent_selector = record(rules.AgentSelector, {"anyOfSlugs": _TEXTS, "anyOfTags": _TEXTS, "allOfTags": _TEXTS})
_HEAD = {
    "id": maybe(label(200)),
    "name": needed(label(100)),
    "description": maybe(text(most=500)),
    "agentSelector": maybe(_agent_selector),
    "enabled": maybe(truth),
    "mode": _MODE,
    "combine": maybe(word(("most_severe_wins",))),
    "onMissingDefault": maybe(word(EFFECTS)),
}
_RULES: dict[str, Key] = {"rules": needed(list_of(_rule))}

_whole = record(_policy, {**_HEAD, **_RULES})
_of_platform = record(_platform_policy, {"policy": needed(record(dict, _HEAD)), **_RULES})


def read_policy(spot: Spot) -> rules.Policy:
    """Read a policy that holds its rules, or one of the platform's, which lie beside it."""
    policy: rules.Policy = (_of_platform if _has_head(spot) else _whole)(spot)
    return policy


def head_of(spot: Spot) -> Spot:
    """Return where the policy's own keys stand."""
    return spot.at("policy") if _has_head(spot) else spot


def rules_of(spot: Spot) -> list[Spot]:
    """Return where the policy's rules stand."""
    listed = spot.value.get("rules") if isinstance(spot.value, dict) else None
    return [spot.at("rules", index) for index in range(len(listed))] if isinstance(listed, list) else []


def _has_head(spot: Spot) -> bool:
    return isinstance(spot.value, dict) and "policy" in spot.value
