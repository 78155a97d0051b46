"""Loading policies: what is accepted, and every way to be refused."""

from __future__ import annotations

import contextlib
import json
import pickle
import textwrap

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handlebar._plumbing import logs
from handlebar.core.schema import rules
from handlebar.errors import PolicyError
from handlebar.policy import load_policies, policy_to_dict
from handlebar.policy.loading.condition_readers import READERS
from handlebar.policy.loading.naming import slug
from tests.policy.generated_policies import json_values, policies

BEFORE, AFTER = {"phase": "tool.before"}, {"phase": "tool.after"}
EXISTS = {"kind": "toolArg", "op": "exists", "path": "amount"}
ONE_OF = {"by": "toolName", "patterns": ["pay"]}
NIGHT = {"days": ["mon"], "start": "22:00", "end": "06:00"}
UTC = {"source": "static", "tz": "UTC"}


def a_rule(condition=EXISTS, **changes):
    """Return a good rule with some keys changed."""
    good = {"name": "No refunds", "selector": BEFORE, "condition": condition, "effect": {"type": "block"}}
    return {**good, **changes}


def a_policy(*its_rules, **changes):
    """Return a good policy with some keys changed."""
    return {"name": "Refund Desk", "rules": list(its_rules) or [a_rule()], **changes}


def without(mapping, key):
    """Return *mapping* without *key*."""
    return {name: value for name, value in mapping.items() if name != key}


def problems_of(source):
    """Return the problems of a source that cannot be loaded."""
    with pytest.raises(PolicyError) as caught:
        load_policies(source)
    return caught.value.problems


def condition_of(condition, selector=AFTER):
    """Load *condition* in a rule of its own."""
    (policy,) = load_policies(a_policy(a_rule(condition, selector=selector)))
    return policy.rules[0].condition


def arg(type_, op, **more):
    """Return a toolArg condition."""
    return {"kind": "toolArg", "type": type_, "op": op, **more}


def amount(op, value):
    """Return a comparison of the amount."""
    return arg("number", op, path="amount", value=value)


def both(*conditions):
    """Return the conditions joined by `and`."""
    return {"kind": "and", "all": list(conditions)}


def metric(**changes):
    """Return a metricWindow condition with some keys changed."""
    key = {"kind": "inbuilt", "key": "bytes_in"}
    good = {"kind": "metricWindow", "scope": "run", "metric": key, "aggregate": "sum", "op": "gt", "value": 1}
    return {**good, **changes}


def time_gate(timezone=UTC, *windows):
    """Return a timeGate condition."""
    return {"kind": "timeGate", "timezone": timezone, "windows": list(windows) or [NIGHT]}


def signal(**changes):
    """Return a signal condition with some keys changed."""
    return {"kind": "signal", "key": "risk", "op": "gte", "value": 1, **changes}


def name_is(op, value):
    """Return a toolName condition."""
    return {"kind": "toolName", "op": op, "value": value}


BAD_POLICIES = [
    (without(a_policy(), "name"), "document: 'name' is missing; add it"),
    (without(a_policy(), "rules"), "document: 'rules' is missing; add it"),
    (a_policy(rules=[]), "rules: the list is empty; give it one entry at least"),
    (a_policy(rules={}), "rules: this is a mapping; expected a list"),
    (a_policy(rules=[3]), "rules[0]: 3 is a number; expected a mapping"),
    (a_policy(name=""), "name: the text is empty; expected one character at least"),
    (a_policy(name="  "), "name: the text is blank; expected 1 to 100 characters"),
    (a_policy(name="n" * 101), "name: the text has 101 characters; at most 100"),
    (a_policy(name=7), "name: 7 is a number; expected text, so quote it"),
    (a_policy(name="\ud800"), "name: the text holds half a character"),
    (a_policy(description="d" * 501), "description: the text has 501 characters; at most 500"),
    (a_policy(description=None), "description: this is null (leave out the key of what is not wanted)"),
    (a_policy(enabled="yes"), "enabled: 'yes' is text; expected true or false"),
    (a_policy(mode="observe"), "mode: 'observe' is unknown; allowed: enforce, shadow"),
    (a_policy(mode="enforced"), "mode: 'enforced' is unknown; did you mean 'enforce'?"),
    (a_policy(combine="first"), "combine: 'first' is unknown; allowed: most_severe_wins"),
    (a_policy(onMissingDefault="deny"), "onMissingDefault: 'deny' is unknown; allowed: allow, hitl, block"),
    (a_policy(ruels=[]), "ruels: the key is unknown; did you mean 'rules'? allowed: id, name,"),
    (a_policy(agentSelector={"anyOfSlugs": []}), "agentSelector.anyOfSlugs: the list is empty"),
    (a_policy(agentSelector={"slugs": ["a"]}), "agentSelector.slugs: the key is unknown"),
    ({"policy": {"name": "x"}}, "document: 'rules' is missing; add it"),
    ({"policy": a_policy(), "rules": [a_rule()]}, "policy.rules: the key is unknown"),
    ({"policy": {"name": 1}, "rules": [a_rule()]}, "policy.name: 1 is a number"),
    (a_policy(a_rule(), a_rule()), "rules[1]: the rule id 'refund-desk/no-refunds' is taken by rules[0]"),
    (a_policy(a_rule(id="a"), a_rule(id="a")), "rules[1].id: the rule id 'a' is taken by rules[0]"),
    (a_policy(a_rule(policyId="other")), "rules[0].policyId: 'other' is another policy; expected 'refund-desk'"),
]

BAD_RULES = [
    (without(a_rule(), "selector"), ": 'selector' is missing; add it"),
    (without(a_rule(), "condition"), ": 'condition' is missing; add it"),
    (without(a_rule(), "effect"), ": 'effect' is missing; add it"),
    (a_rule(name="n" * 201), ".name: the text has 201 characters; at most 200"),
    (a_rule(id=""), ".id: the text is empty"),
    (a_rule(priority="high"), ".priority: 'high' is text; expected a number"),
    (a_rule(priority=1.5), ".priority: 1.5 is not whole; expected a whole number"),
    (a_rule(priority=True), ".priority: True is a truth value; expected a number"),
    (a_rule(when={}), ".when: the key is unknown; allowed: id, policyId, name,"),
    (a_rule(mode="off"), ".mode: 'off' is unknown; allowed: enforce, shadow"),
    (a_rule(onMissing="skip"), ".onMissing: 'skip' is unknown; allowed: allow, hitl, block"),
    (a_rule(selector={}), ".selector: 'phase' is missing; add it"),
    (a_rule(selector={"phase": "before"}), ".selector.phase: 'before' is unknown; did you mean 'tool.before'?"),
    (a_rule(selector={**BEFORE, "tool": {"name": []}}), ".selector.tool.name: the list is empty"),
    (a_rule(selector={**BEFORE, "tool": {"name": None}}), ".selector.tool.name: this is null"),
    (a_rule(selector={**BEFORE, "tool": {"tags": ["a"]}}), ".selector.tool.tags: the key is unknown; did"),
    (a_rule(selector={**BEFORE, "tool": {"tagsAny": "a"}}), ".selector.tool.tagsAny: 'a' is text; expected a list"),
    (a_rule(effect={}), ".effect: 'type' is missing; allowed: allow, hitl, block"),
    (a_rule(effect={"type": "deny"}), ".effect.type: 'deny' is unknown; allowed: allow, hitl, block"),
    (a_rule(effect={"type": "block", "reason": "r" * 501}), ".effect.reason: the text has 501 characters"),
    (a_rule(effect={"type": "block", "control": "STOP"}), ".effect.control: 'STOP' is unknown; allowed: CONTINUE"),
    (a_rule(effect={"type": "allow", "control": "TERMINATE"}), ".effect.control: the key is unknown for type allow"),
]


def sensitive(detector=None, sub_condition=None):
    """Return a sensitiveData condition with one detector, or none."""
    sub = {} if sub_condition is None else {"subCondition": sub_condition}
    return {"kind": "sensitiveData", "target": "toolArg", "detectors": [{"detector": detector, **sub}] * bool(detector)}


def found(detector, check, op="eq", value="com"):
    """Return a sensitiveData condition that compares what was found."""
    return sensitive(detector, {"check": check, "op": op, "value": value})


BAD_CONDITIONS = [
    ([], ": this is a list; expected a mapping"),
    ({}, ": 'kind' is missing; allowed: toolName,"),
    ({"kind": "toolname"}, ".kind: 'toolname' is unknown; did you mean 'toolName'?"),
    ({"kind": ["toolName"]}, ".kind: this is a list; expected text"),
    (sensitive(), ".detectors: the list is empty"),
    (without(sensitive("email"), "detectors"), ": 'detectors' is missing for kind sensitiveData; add it"),
    (without(sensitive("email"), "target"), ": 'target' is missing for kind sensitiveData; add it"),
    ({**sensitive("email"), "target": "result"}, ".target: 'result' is unknown; allowed: toolArg"),
    ({**sensitive("email"), "op": "any"}, ".op: 'any' is unknown; did you mean 'anyOf'?"),
    ({**sensitive("email"), "path": "a..b"}, ".path: 'a..b' is no path"),
    (sensitive("e-mail"), ".detectors[0].detector: 'e-mail' is unknown; did you mean 'email'?"),
    ({**sensitive(), "detectors": ["email"]}, ".detectors[0]: 'email' is text; expected a mapping"),
    ({**sensitive(), "detectors": [{}]}, ".detectors[0]: 'detector' is missing; allowed: email, email_domain"),
    (sensitive("jwt", {"check": "tld"}), ".detectors[0].subCondition: the key is unknown for detector jwt; allowed"),
    (found("email", "scheme"), ".detectors[0].subCondition.check: 'scheme' is unknown; allowed: domain, tld"),
    (found("email_domain", "scheme"), ".detectors[0].subCondition.check: 'scheme' is unknown; allowed: domain, tld"),
    (found("url", "tld", "endsWith"), ".detectors[0].subCondition.op: 'endsWith' is unknown; allowed: eq, neq, in"),
    (
        found("url", "domain", "contains"),
        ".detectors[0].subCondition.op: 'contains' is unknown; allowed: eq, neq, endsWith, in",
    ),
    (found("url", "domain", "in", []), ".detectors[0].subCondition.value: the list is empty"),
    (found("url", "domain", "in", ["com", 3]), ".detectors[0].subCondition.value[1]: 3 is a number; expected text"),
    (found("url", "domain", "eq", "https://a.com"), ".detectors[0].subCondition.value: 'https://a.com' is no domain"),
    (found("email", "domain", "eq", ".a.com"), ".detectors[0].subCondition.value: '.a.com' is no domain"),
    (found("email", "domain", "endsWith", "@a.com"), ".detectors[0].subCondition.value: '@a.com' is no domain"),
    (found("email", "tld", "eq", "co.uk"), ".detectors[0].subCondition.value: 'co.uk' is no top-level domain"),
    (found("url", "scheme", "in", ["https:"]), ".detectors[0].subCondition.value[0]: 'https:' is no scheme"),
    ({"kind": "toolName"}, ": 'op' is missing; allowed: eq, neq, contains"),
    (name_is("equals", "a"), ".op: 'equals' is unknown; allowed: eq, neq"),
    (name_is("eq", ["a"]), ".value: this is a list; expected text"),
    (name_is("in", "a"), ".value: 'a' is text; expected a list"),
    (name_is("in", []), ".value: the list is empty"),
    (name_is("contains", ""), ".value: the text is empty"),
    ({"kind": "toolTag", "op": "has", "tag": "a", "tags": ["a"]}, ".tags: the key is unknown for kind toolTag, op has"),
    ({"kind": "toolTag", "op": "has"}, ": 'tag' is missing for kind toolTag, op has; add it"),
    ({"kind": "toolTag", "op": "anyOf", "tags": []}, ".tags: the list is empty"),
    ({"kind": "toolArg", "op": "eq"}, ": 'type' is missing; allowed: string, number, boolean"),
    (arg("text", "eq", value="a"), ".type: 'text' is unknown; allowed: string, number, boolean"),
    (
        arg("string", "gt", value="a"),
        ".op: 'gt' is unknown; allowed: eq, neq, contains, startsWith, endsWith, in, regex",
    ),
    (arg("string", "eq", value=3), ".value: 3 is a number; expected text, so quote it"),
    (arg("string", "in", value=[]), ".value: the list is empty"),
    (arg("string", "eq", path="a..b", value="x"), ".path: 'a..b' is no path; expected names with single dots"),
    (arg("string", "regex", value="(a"), ".value: the regex does not compile: missing ): (a; expected RE2"),
    (arg("string", "regex", value=r"(a)\1"), ".value: the regex does not compile: invalid escape"),
    (arg("string", "regex", value="(?=a)"), ".value: the regex does not compile"),
    (arg("number", "gt", value=1), ": 'path' is missing for kind toolArg, type number, op gt; add it"),
    (amount("gt", True), ".value: True is a truth value; expected a number"),
    (amount("gt", "1"), ".value: '1' is text; expected a number"),
    (amount("gt", float("inf")), ".value: inf is not finite; expected a number"),
    (amount("gt", 10**400), ".value: 1000"),
    (arg("boolean", "neq", path="a", value=True), ".op: 'neq' is unknown; did you mean 'eq'?"),
    (arg("boolean", "eq", path="a", value=1), ".value: 1 is a number; expected true or false"),
    (arg("string", "exists", path="a"), ".type: the key is unknown for kind toolArg, op exists"),
    ({"kind": "enduserTag", "op": "has", "tag": "a", "value": "b"}, ".value: the key is unknown for kind enduserTag"),
    ({"kind": "enduserTag", "op": "hasValueAny", "tag": "a", "values": []}, ".values: the list is empty"),
    ({"kind": "executionTime", "scope": "run", "op": "gt", "ms": 1}, ".scope: 'run' is unknown; allowed: tool, total"),
    ({"kind": "executionTime", "scope": "tool", "op": "gt", "ms": -1}, ".ms: -1 is too small; expected 0 or more"),
    ({"kind": "executionTime", "scope": "tool", "op": "lt", "ms": 0}, ": no number meets this"),
    ({"kind": "sequence"}, ": the sequence demands nothing"),
    ({"kind": "sequence", "mustHaveCalled": []}, ".mustHaveCalled: the list is empty"),
    ({"kind": "sequence", "mustHaveCalled": [{"by": "tag"}]}, ".mustHaveCalled[0].by: 'tag' is unknown; did"),
    (
        {"kind": "sequence", "mustHaveCalled": [{**ONE_OF, "op": "anyOf"}]},
        ".mustHaveCalled[0].op: the key is unknown for by toolName; allowed: by, patterns",
    ),
    ({"kind": "maxCalls", "selector": ONE_OF, "max": -1}, ".max: -1 is too small; expected 0 or more"),
    ({"kind": "maxCalls", "selector": ONE_OF, "max": 1.5}, ".max: 1.5 is not whole"),
    ({"kind": "maxCalls", "selector": "pay", "max": 1}, ".selector: 'pay' is text; expected a mapping"),
    ({"kind": "maxCalls", "selector": ONE_OF, "max": 1, "windowSeconds": 0}, ".windowSeconds: 0 is too small"),
    (
        {"kind": "maxCalls", "selector": ONE_OF, "max": 1, "per": "user"},
        ".per: 'user' is unknown; allowed: agent, agent_user",
    ),
    ({"kind": "maxCalls", "selector": ONE_OF, "max": 1, "tagFilter": {}}, ".tagFilter: the mapping is empty"),
    ({"kind": "maxCalls", "selector": ONE_OF, "max": 1, "tagFilter": {"a": 1}}, ".tagFilter.a: 1 is a number"),
    (
        {"kind": "maxCalls", "selector": {"by": "toolTag", "tags": ["a"], "op": "allOf"}, "max": 1},
        ".selector.op: the key is unknown for by toolTag; allowed: by, tags",
    ),
    (metric(scope="agent"), ": 'windowSeconds' is missing for kind metricWindow, op gt; add it"),
    (metric(scope="agent_user"), ": 'windowSeconds' is missing"),
    (metric(scope="user"), ".scope: 'user' is unknown"),
    (metric(metric={"kind": "inbuilt", "key": "cost"}), ".metric.key: 'cost' is unknown; "),
    (metric(metric={"kind": "custom", "key": "bytes_in"}), ".metric.key: 'bytes_in' is a built-in metric"),
    (metric(metric={"kind": "custom", "key": "a b"}), ".metric.key: 'a b' is no key of a metric"),
    (metric(aggregate="total"), ".aggregate: 'total' is unknown; allowed: sum, avg, max, min, count"),
    (metric(value=float("nan")), ".value: nan is not finite; expected a number"),
    (time_gate({"source": "static", "tz": "Europe/Bonn"}), ".timezone.tz: 'Europe/Bonn' is no time zone"),
    (time_gate({"source": "static", "tz": "Europe"}), ".timezone.tz: 'Europe' is no time zone"),
    (time_gate({"source": "static", "tz": "../etc"}), ".timezone.tz: '../etc' is no time zone"),
    (time_gate({"source": "enduserTag"}), ".timezone: 'tag' is missing for source enduserTag; add it"),
    (time_gate({"source": "enduserTag", "tag": "a", "tz": "UTC"}), ".timezone.tz: the zone is for a fallback only"),
    (time_gate(UTC, {**NIGHT, "days": ["monday"]}), ".windows[0].days[0]: 'monday' is unknown; did you mean 'mon'?"),
    (time_gate(UTC, {**NIGHT, "start": "24:00"}), ".windows[0].start: '24:00' is no time of day"),
    (time_gate(UTC, {**NIGHT, "end": "6:00"}), ".windows[0].end: '6:00' is no time of day; expected HH:MM"),
    (time_gate(UTC, {**NIGHT, "end": 360}), ".windows[0].end: 360 is a number; expected text, so quote it"),
    ({"kind": "requireSubject"}, ": 'subjectType' is missing for kind requireSubject; add it"),
    (signal(op="in", value=3), ".value: 3 is a number; expected a list"),
    (signal(op="nin", value=[]), ".value: the list is empty"),
    (signal(op="gt", value=True), ".value: True is a truth value; expected a number"),
    (signal(args={"user": {"from": "enduser"}}), ".args.user.from: 'enduser' is unknown; did you mean"),
    (signal(args={"user": {"from": "const", "value": None}}), ".args.user.value: this is null"),
    (signal(args={"user": {"from": "enduserId", "tag": "a"}}), ".args.user.tag: the key is unknown for from"),
    ({"kind": "custom", "name": "f", "args": []}, ".args: this is a list; expected a mapping"),
    ({"kind": "custom", "name": "f", "args": {"a": {1, 2}}}, ".args.a: {1, 2} is a set; expected text, a finite"),
    (both(), ".all: the list is empty"),
    ({"kind": "or", "any": [EXISTS], "all": [EXISTS]}, ".all: the key is unknown for kind or; allowed: kind, any"),
    ({"kind": "not", "not": [EXISTS]}, ".not: this is a list; expected a mapping"),
    (both(EXISTS, {"kind": "nand"}), ".all[1].kind: 'nand' is unknown; did you mean 'and'?"),
    (both(amount("gt", 10), amount("lt", 5)), ".all[1]: no number meets this and what else must hold with it"),
    (both(amount("gt", 5), amount("lte", 5)), ".all[1]: no number meets this"),
    (both(amount("eq", 5), amount("neq", 5)), ".all[1]: no number meets this"),
    (both(amount("gt", 10), both(EXISTS, amount("eq", 9))), ".all[1].all[1]: no number meets this"),
    (both(metric(op="gt", value=3), metric(op="lt", value=3)), ".all[1]: no number meets this"),
    (
        {"kind": "or", "any": [EXISTS, both(amount("gte", 2), amount("lte", 1))]},
        ".any[1].all[1]: no number meets this",
    ),
]


@pytest.mark.parametrize(("source", "expected"), BAD_POLICIES)
def test_a_bad_policy_is_refused(source, expected):
    """What is wrong with a policy is said once, with the path to it."""
    (problem,) = problems_of(source)
    assert problem.startswith(f"policies[0]: {expected}")


@pytest.mark.parametrize(("rule", "expected"), BAD_RULES)
def test_a_bad_rule_is_refused(rule, expected):
    """What is wrong with a rule is said once, with the path to it."""
    (problem,) = problems_of(a_policy(rule))
    assert problem.startswith(f"policies[0]: rules[0]{expected}")


@pytest.mark.parametrize(("condition", "expected"), BAD_CONDITIONS)
def test_a_bad_condition_is_refused(condition, expected):
    """What is wrong with a condition is said once, with the path to it."""
    (problem,) = problems_of(a_policy(a_rule(condition, selector=AFTER)))
    assert problem.startswith(f"policies[0]: rules[0].condition{expected}")


@pytest.mark.parametrize("kind", sorted(READERS))
def test_every_kind_refuses_unknown_keys(kind):
    """No kind of condition lets a key pass that it does not know."""
    found = problems_of(a_policy(a_rule({"kind": kind, "op": "no op", "extra": 1})))
    assert any("condition" in problem for problem in found)


@pytest.mark.parametrize(
    "within", [lambda it: it, both, lambda it: {"kind": "not", "not": it}], ids=["bare", "and", "not"]
)
def test_execution_time_is_not_known_before_the_call(within):
    """A rule for tool.before may nowhere ask how long the call took."""
    slow = {"kind": "executionTime", "scope": "tool", "op": "gt", "ms": 5}
    (problem,) = problems_of(a_policy(a_rule(within(slow), selector=BEFORE)))
    assert "before the call there is no executionTime; use the phase tool.after" in problem
    assert load_policies(a_policy(a_rule(within(slow), selector=AFTER)))


@pytest.mark.parametrize(
    ("names", "condition"),
    [
        ("pay", name_is("eq", "refund")),
        (["pay", "send"], name_is("in", ["refund", "mail*"])),
        ("pay*", name_is("eq", "refund")),
        ("pay", name_is("neq", "PAY")),
        ("pay", name_is("contains", "x")),
        ("pay", name_is("startsWith", "ay")),
        ("pay", name_is("endsWith", "pa")),
        ("pay", name_is("glob", "p*x")),
        ("pay?", name_is("eq", "pays")),
        ("pay", both(EXISTS, name_is("eq", "refund"))),
        ("*", both(name_is("eq", "a"), name_is("eq", "b"))),
    ],
)
def test_a_name_that_contradicts_the_selector_is_refused(names, condition):
    """A rule whose condition asks for a name that its selector leaves out can never match."""
    (problem,) = problems_of(a_policy(a_rule(condition, selector={**BEFORE, "tool": {"name": names}})))
    assert "no tool has such a name" in problem


@pytest.mark.parametrize(
    ("names", "condition"),
    [
        ("Pay", name_is("eq", "pAY")),
        (["pay", "send"], name_is("neq", "pay")),
        ("pay_*", name_is("endsWith", "_out")),
        ("pay*", name_is("in", ["payout"])),
        ("pay", {"kind": "or", "any": [name_is("eq", "refund"), EXISTS]}),
        ("pay", {"kind": "not", "not": name_is("eq", "refund")}),
    ],
)
def test_a_name_that_may_agree_with_the_selector_is_accepted(names, condition):
    """Only what can be shown to be dead is refused; case is insignificant."""
    assert load_policies(a_policy(a_rule(condition, selector={**BEFORE, "tool": {"name": names}})))


GOOD_CONDITIONS = [
    (name_is("in", ["a", "b*"]), rules.ToolNameCondition(op="in", value=("a", "b*"))),
    (arg("string", "eq", value=""), rules.ToolArgCondition(type="string", op="eq", value="")),
    (EXISTS, rules.ToolArgCondition(op="exists", path="amount")),
    (
        {"kind": "sequence", "mustHaveCalled": ["verify*"]},
        rules.SequenceCondition(must_have_called=(rules.ToolSelector("toolName", ("verify*",)),)),
    ),
    (
        {"kind": "maxCalls", "selector": ONE_OF, "max": 0},
        rules.MaxCallsCondition(selector=rules.ToolSelector("toolName", ("pay",)), max=0),
    ),
    (
        signal(args={"user": {"from": "enduserId"}}, op="eq", value=None),
        rules.SignalCondition(key="risk", args={"user": rules.SignalBinding(from_="enduserId")}, op="eq", value=None),
    ),
    (
        time_gate(),
        rules.TimeGateCondition(
            timezone=rules.TimeZoneSource(source="static", tz="UTC"),
            windows=(rules.TimeWindow(days=("mon",), start="22:00", end="06:00"),),
        ),
    ),
    (
        {"kind": "not", "not": EXISTS},
        rules.NotCondition(not_=rules.ToolArgCondition(op="exists", path="amount")),
    ),
    (
        both(amount("gte", 5), amount("lte", 5)),
        rules.AndCondition(
            all=(
                rules.ToolArgCondition(type="number", op="gte", path="amount", value=5),
                rules.ToolArgCondition(type="number", op="lte", path="amount", value=5),
            )
        ),
    ),
]


@pytest.mark.parametrize(("condition", "expected"), GOOD_CONDITIONS)
def test_a_good_condition_is_loaded(condition, expected):
    """The names of the wire become the attributes of our values."""
    assert expected == condition_of(condition)


def test_what_is_left_out_has_defaults():
    """A policy needs a name and rules, a rule a name, a phase, a condition and an effect."""
    (policy,) = load_policies(a_policy())
    assert ("refund-desk", True, "enforce", "most_severe_wins") == (
        policy.id,
        policy.enabled,
        policy.mode,
        policy.combine,
    )
    (rule,) = policy.rules
    assert ("refund-desk/no-refunds", "refund-desk", True, 0, None) == (
        rule.id,
        rule.policy_id,
        rule.enabled,
        rule.priority,
        rule.mode,
    )
    assert rules.ToolPattern() == rule.selector.tool


def test_the_platforms_form_is_the_same_policy():
    """Rules may lie beside their policy."""
    policy = a_policy(a_rule(policyId="refund-desk"))
    beside = {"policy": without(policy, "rules"), "rules": policy["rules"]}
    assert load_policies(policy) == load_policies(beside)


def test_one_name_may_stand_without_a_list():
    """The selector's name is a glob or a list of globs."""
    (policy,) = load_policies(a_policy(a_rule(selector={**BEFORE, "tool": {"name": "Pay*"}})))
    assert ("Pay*",) == policy.rules[0].selector.tool.name


@pytest.mark.parametrize(("name", "expected"), [("Refund Desk!", "refund-desk"), ("Größe_2", "grösse-2")])
def test_slugs_are_readable(name, expected):
    """An id that is derived from a name shows the name."""
    assert expected == slug(name)


def test_a_name_without_letters_has_a_slug_too():
    """Every name gives an id that is not empty, and different names different ones."""
    assert slug("!!!")
    assert slug("!!!") != slug("???")


@given(policies())
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_policies_survive_being_written(policy):
    """The wire form of a policy is plain JSON and loads as an equal policy."""
    wire = json.loads(json.dumps(policy_to_dict(policy)))
    assert (policy,) == load_policies([wire])
    assert (policy,) == load_policies(policy)


@given(
    st.recursive(
        json_values,
        lambda parts: (
            st.dictionaries(
                st.sampled_from(["policy", "rules", "id", "name", "selector", "condition", "effect", "kind", "all"]),
                parts | st.sampled_from(["and", "toolArg", "signal", "tool.after", "block"]),
            )
            | st.lists(parts)
        ),
    )
)
@settings(deadline=None)
def test_no_value_breaks_the_loader(value):
    """Whatever is given, loading raises a PolicyError or nothing."""
    # A text at the top, or in a list there, would be a path: `/` is not for this test to read.
    bare = [] if isinstance(value, (str, list)) else [value, [value]]
    for source in (*bare, {"policy": value, "rules": value}, {"name": "a", "rules": [value]}, a_policy(a_rule(value))):
        with contextlib.suppress(PolicyError):
            load_policies(source)


@given(policies(), st.data())
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_broken_part_breaks_the_loader(policy, data):
    """A good policy with one value replaced by any other loads, or raises a PolicyError."""
    wire = policy_to_dict(policy)
    part = wire
    while isinstance(part, (dict, list)) and part:
        key = data.draw(st.sampled_from(list(part) if isinstance(part, dict) else range(len(part))))
        holder, part = part, part[key]
        if data.draw(st.booleans()):
            break
    holder[key] = data.draw(json_values)
    with contextlib.suppress(PolicyError):
        load_policies(wire)


def test_a_policy_in_python_is_checked_too():
    """A Policy that was made by hand goes through the same checks as a file."""
    (policy,) = load_policies(a_policy())
    assert (policy,) == load_policies([policy])
    bare = attrs.evolve(policy, agent_selector=rules.AgentSelector(any_of_slugs=()))
    assert ("policies[0]: agentSelector.anyOfSlugs: the list is empty; give it one entry at least",) == (
        problems_of(bare)
    )


def test_the_written_form_leaves_out_what_is_absent():
    """The wire form has the wire's names and no nulls."""
    (policy,) = load_policies(a_policy())
    assert {
        "id": "refund-desk",
        "name": "Refund Desk",
        "agentSelector": {},
        "enabled": True,
        "mode": "enforce",
        "combine": "most_severe_wins",
        "rules": [
            {
                "id": "refund-desk/no-refunds",
                "policyId": "refund-desk",
                "name": "No refunds",
                "enabled": True,
                "priority": 0,
                "selector": {"phase": "tool.before", "tool": {}},
                "condition": EXISTS,
                "effect": {"type": "block"},
            }
        ],
    } == policy_to_dict(policy)


BROKEN_YAML = """\
    - name: Refund Desk
      mood: shadow
      rules:
        - name: first
          selector: {phase: tool.before}
          condition:
            kind: toolArg
            type: number
            op: gtt
            path: amount
            value: 1
          effect: {type: block}
        - name: second
          selector:
            phase: before
          condition: {kind: toolName, op: eq, value: on}
          effect:
            type: block
    - name: Refund Desk
      name: Refund Desk
      rules: []
"""


def test_all_problems_come_at_once_with_their_lines(tmp_path):
    """One error lists every problem of every source, each with file, line, path and advice."""
    file = tmp_path / "refunds.yaml"
    file.write_text(textwrap.dedent(BROKEN_YAML))
    found = problems_of([file, tmp_path / "none.json", {"name": "Other"}])
    ops = "allowed: gt, gte, lt, lte, eq, neq"
    assert {
        f"{file}:20: [1].name: the key is there twice; leave one out",
        f"{tmp_path / 'none.json'}: document: there is no such file or folder; give the path of one",
        f"{file}:9: [0].rules[0].condition.op: 'gtt' is unknown; did you mean 'gt'? {ops}",
        f"{file}:15: [0].rules[1].selector.phase: 'before' is unknown; "
        "did you mean 'tool.before'? allowed: tool.before, tool.after",
        f"{file}:16: [0].rules[1].condition.value: True is a truth value; expected text, so quote it",
        f"{file}:21: [1].rules: the list is empty; give it one entry at least",
        "policies[2]: document: 'rules' is missing; add it",
        f"{file}:19: [1].name: the policy name 'Refund Desk' is taken by [0] ({file}:1); give each its own",
    } == {problem for problem in found if "mood" not in problem}
    (unknown,) = [problem for problem in found if "mood" in problem]
    assert unknown.startswith(f"{file}:2: [0].mood: the key is unknown; did you mean 'mode'? allowed: id, ")


def test_the_error_shows_every_problem_and_can_be_pickled():
    """The message is the problems, a line each; a copy from another process has them too."""
    with pytest.raises(PolicyError) as caught:
        load_policies({"name": 1, "rules": 2})
    assert "\n".join(caught.value.problems) == str(caught.value)
    assert caught.value.problems == pickle.loads(pickle.dumps(caught.value)).problems


def test_a_folder_is_read_file_by_file(tmp_path):
    """All policy files below a folder count, in order of their names; hidden ones and others do not."""
    (tmp_path / "more").mkdir()
    (tmp_path / ".hidden").mkdir()
    for name in ("b.yaml", "a.json", "more/c.YML"):
        (tmp_path / name).write_text(json.dumps(a_policy(name=name)))
    for name in (".d.yaml", ".hidden/e.yaml", "notes.txt"):
        (tmp_path / name).write_text("no policy: [")
    (tmp_path / "more" / "around").symlink_to(tmp_path, target_is_directory=True)
    assert ["a.json", "b.yaml", "more/c.YML"] == [policy.name for policy in load_policies(str(tmp_path))]


@pytest.mark.parametrize("source", [[], "", None, 3, b"a.yaml", [[a_policy()]], "no/such.yaml", "\0.yaml"])
def test_a_source_without_policies_is_an_error(source):
    """Nothing, and what is no source at all, is one problem, not a crash."""
    assert 1 == len(problems_of(source))


def test_a_folder_without_policies_is_an_error(tmp_path):
    """An empty folder is more likely a wrong path than a wish for no rules."""
    (problem,) = problems_of(tmp_path)
    assert problem.startswith(f"{tmp_path}: document: the folder holds no policy files")


def test_an_empty_list_in_a_file_is_an_error(tmp_path):
    """A file holds one policy at least."""
    (tmp_path / "a.json").write_text("[]")
    (problem,) = problems_of(tmp_path / "a.json")
    assert f"{tmp_path / 'a.json'}:1: document: the list is empty; give it one policy at least" == problem


def test_rule_ids_are_taken_across_policies():
    """Decisions name rules by their ids, so no two policies share one."""
    first, second = a_policy(a_rule(id="a"), name="One"), a_policy(a_rule(id="a"), name="Two")
    expected = "policies[1]: rules[0].id: the rule id 'a' is taken by rules[0] (policies[0]); give each its own"
    assert (expected,) == problems_of([first, second])


@pytest.mark.parametrize(
    ("second", "hidden"),
    [
        (a_rule(name="B"), True),
        (a_rule(name="B", priority=-1), True),
        (a_rule(name="B", enabled=False), False),
        (a_rule(name="B", mode="shadow"), False),
        (a_rule(name="B", effect={"type": "hitl"}), False),
        (a_rule({**EXISTS, "path": "other"}, name="B"), False),
    ],
)
def test_a_rule_that_repeats_another_is_warned_of(caplog, monkeypatch, second, hidden):
    """A rule that comes after one with the same selector, condition and effect is named in the log."""
    monkeypatch.setattr(logs, "QUIET_SECONDS", 0.0)
    load_policies(a_policy(a_rule(name="A"), second))
    assert hidden == ("'refund-desk/b' never decides anything: 'refund-desk/a' comes first" in caplog.text)
