"""The engine against the rules' own words: an evaluator without index, closures or short cuts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from handlebar.core.schema import rules as schema
from handlebar.core.schema.agents import Actor
from handlebar.core.schema.rules import Policy, Rule, RuleEffect, RuleSelector, ToolPattern, ToolSelector
from handlebar.core.schema.subjects import SubjectRef
from handlebar.policy.engine import Engine, Outcome, compile_policies
from handlebar.policy.facts import Call, PastCall
from tests.support.policy_facts import StatedFacts

RANK = ("allow", "hitl", "block")
COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": lambda a, b: a == b,
    "neq": lambda a, b: a != b,
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
    "contains": lambda a, b: b in a,
    "startsWith": lambda a, b: a.startswith(b),
    "endsWith": lambda a, b: a.endswith(b),
    "in": lambda a, b: a in b,
    "nin": lambda a, b: a not in b,
    "regex": lambda a, b: re.search(b, a) is not None,
}


class Open(Exception):
    """A value is missing; the argument says what the condition wants then."""


def like(text: str, glob: str) -> bool:
    """Whether *text* matches *glob* without regard to case."""
    pattern = ".*".join(re.escape(part) for part in glob.lower().split("*"))
    return re.fullmatch(pattern, text.lower(), re.DOTALL) is not None


def tagged(own: Sequence[str], op: str, wanted: Sequence[str]) -> bool:
    """Whether any or all of the wanted tags are there, without regard to case."""
    have = [tag.lower() for tag in own]
    return (all if op == "allOf" else any)(tag.lower() in have for tag in wanted)


def means(selector: ToolSelector, name: str, tags: Sequence[str]) -> bool:
    """Whether a tool is one of those that *selector* means."""
    if selector.by == "toolName":
        return any(like(name, pattern) for pattern in selector.patterns)
    return tagged(tags, selector.op, selector.tags)


def was_called(selector: ToolSelector, past: Sequence[PastCall]) -> bool:
    """Whether some past call is one that *selector* means."""
    return any(means(selector, each.tool_name, each.tool_tags) for each in past)


def strings(value: Any) -> list[str]:
    """Return all texts in *value*."""
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for part in parts for text in strings(part)]


def at_path(value: Any, path: str) -> list[Any]:
    """Return what is at *path*, in a list; an empty one where nothing is."""
    for step in path.split("."):
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return []
    return [value]


def known(value: Any, on_missing: str | None = None) -> Any:
    """Return *value*, unless it is missing."""
    if value is None:
        raise Open(on_missing)
    return value


def joined(parts: Sequence[Any], call: Call, facts: StatedFacts, *, decisive: bool) -> bool:
    """Return the decisive answer if some part gives it, else the other one if all parts give that."""
    left: list[Open] = []
    for part in parts:
        try:
            if holds(part, call, facts) is decisive:
                return decisive
        except Open as unanswered:
            left.append(unanswered)
    if left:
        raise left[0]
    return not decisive


def tool_argument_holds(condition: schema.ToolArgCondition, args: Any) -> bool:
    """Whether the argument compares so."""
    if condition.path is None:
        return any(COMPARE[condition.op](text, condition.value) for text in strings(args))
    found = at_path(args, condition.path)
    if condition.op in ("exists", "notExists"):
        return bool(found) is (condition.op == "exists")
    types: dict[Any, Any] = {"string": (str,), "number": (int, float), "boolean": (bool,)}
    return bool(found and type(found[0]) in types[condition.type] and COMPARE[condition.op](found[0], condition.value))


def sensitive_data_holds(condition: schema.SensitiveDataCondition, args: Any) -> bool:
    """Whether the detectors find something; of all texts only those in HOLDS hold any."""
    looked_at = [args] if condition.path is None else at_path(args, condition.path)
    held = [HOLDS.get(text) for text in strings(looked_at)]
    wanted = [
        each.detector in held and (each.sub_condition is None or each.sub_condition.value == "x.com")
        for each in condition.detectors
    ]
    return (all if condition.op == "allOf" else any)(wanted)


def window_holds(window: schema.TimeWindow, local: datetime) -> bool:
    """Whether *local* lies between start and end of a window that starts on one of its days."""
    for back in (0, 1):
        day = local - timedelta(days=back)
        start = datetime.combine(day, datetime.strptime(window.start, "%H:%M").time())
        end = datetime.combine(day, datetime.strptime(window.end, "%H:%M").time())
        end += timedelta(days=int(end < start), minutes=1)
        if day.strftime("%a").lower() in window.days and start <= local.replace(tzinfo=None) < end:
            return True
    return False


def bound(binding: schema.SignalBinding, call: Call) -> list[Any]:
    """Return what is bound, in a list; an empty one where nothing can be."""
    subjects = [each for each in call.subjects if each.subject_type == binding.subject_type]
    return {
        "enduserId": [call.actor.external_id] if call.actor else [],
        "toolName": [call.tool_name],
        "toolArg": at_path(call.args, binding.path or ""),
        "subject": [subject.value for subject in subjects[:1]],
        "const": [binding.value],
    }[binding.from_]


def holds(condition: Any, call: Call, facts: StatedFacts) -> bool:
    """Whether *condition* is true; raises Open where that cannot be said."""
    metadata: Mapping[str, str] = (call.actor and call.actor.metadata) or {}
    match condition:
        case schema.AndCondition():
            return joined(condition.all, call, facts, decisive=False)
        case schema.OrCondition():
            return joined(condition.any, call, facts, decisive=True)
        case schema.NotCondition():
            return not holds(condition.not_, call, facts)
        case schema.ToolNameCondition(op="in"):
            return any(like(call.tool_name, glob) for glob in condition.value)
        case schema.ToolNameCondition(op="glob"):
            return like(call.tool_name, str(condition.value))
        case schema.ToolNameCondition():
            return COMPARE[condition.op](call.tool_name.lower(), str(condition.value).lower())
        case schema.ToolTagCondition():
            return tagged(call.tool_tags, condition.op, condition.tags or (condition.tag or "",))
        case schema.ToolArgCondition():
            return tool_argument_holds(condition, call.args)
        case schema.EnduserTagCondition(op="has"):
            return metadata.get(condition.tag, "") not in ("", "0", "false")
        case schema.EnduserTagCondition():
            return metadata.get(condition.tag, None) in (condition.values or (condition.value,))
        case schema.ExecutionTimeCondition():
            if call.phase == "tool.before" or (condition.scope == "tool" and "duration_ms" not in call.metrics):
                return False
            spent = known(facts.run_time_ms) if condition.scope == "total" else call.metrics["duration_ms"]
            return COMPARE[condition.op](spent, condition.ms)
        case schema.SequenceCondition():
            past = known(facts.past)
            missed = any(not was_called(entry, past) for entry in condition.must_have_called or ())
            return missed or any(was_called(entry, past) for entry in condition.must_not_have_called or ())
        case schema.MaxCallsCondition(per=None, window_seconds=None):
            return int(known(facts.counts.get("run"))) >= condition.max
        case schema.MaxCallsCondition():
            return int(known(facts.counts.get(condition.per or "agent"))) >= condition.max
        case schema.MetricWindowCondition():
            number = known(facts.metrics.get(condition.metric.key), condition.on_missing)
            return COMPARE[condition.op](number, condition.value)
        case schema.TimeGateCondition():
            return any(window_holds(window, call.now) for window in condition.windows)
        case schema.RequireSubjectCondition():
            return any(
                each.subject_type == condition.subject_type
                and (condition.id_system is None or each.id_system == condition.id_system)
                for each in call.subjects
            )
        case schema.SignalCondition():
            if any(not bound(binding, call) for binding in condition.args.values()):
                raise Open(condition.on_missing)
            value = known(facts.signals.get(condition.key), condition.on_missing)
            if condition.op in ("gt", "gte", "lt", "lte") and isinstance(value, str):
                return False
            return COMPARE[condition.op](value, condition.value)
        case schema.SensitiveDataCondition():
            return sensitive_data_holds(condition, call.args)
        case schema.CustomCondition():
            return bool(known(facts.customs.get(condition.name)))
    raise AssertionError(condition)


def is_about(rule: Rule, call: Call) -> bool:
    """Whether the rule's selector meets the call."""
    tool = rule.selector.tool
    return (
        rule.selector.phase == call.phase
        and (tool.name is None or any(like(call.tool_name, glob) for glob in tool.name))
        and (tool.tags_any is None or tagged(call.tool_tags, "anyOf", tool.tags_any))
        and (tool.tags_all is None or tagged(call.tool_tags, "allOf", tool.tags_all))
    )


def is_for(policy: Policy, slug: str, tags: Sequence[str]) -> bool:
    """Whether the policy is for the agent."""
    selector = policy.agent_selector
    return (
        policy.enabled
        and (selector.any_of_slugs is None or slug.lower() in [each.lower() for each in selector.any_of_slugs])
        and (selector.any_of_tags is None or tagged(tags, "anyOf", selector.any_of_tags))
        and (selector.all_of_tags is None or tagged(tags, "allOf", selector.all_of_tags))
    )


def effect_of(rule: Rule, policy: Policy, call: Call, facts: StatedFacts) -> str | None:
    """Return what the rule wants; None where it does not match."""
    try:
        return rule.effect.type if holds(rule.condition, call, facts) else None
    except Open as unanswered:
        return unanswered.args[0] or rule.on_missing or policy.on_missing_default or "block"


def read_literally(policies: Sequence[Policy], call: Call, facts: StatedFacts) -> Any:
    """Return effect, final rule, evaluated rules and shadow effects, as the spec has them."""
    pairs = [
        (rule, policy)
        for policy in policies
        for rule in policy.rules
        if is_for(policy, call.agent_slug, call.agent_tags) and rule.enabled and is_about(rule, call)
    ]
    pairs.sort(key=lambda pair: (-pair[0].priority, pair[0].id))
    wanted = [(rule, policy, effect_of(rule, policy, call, facts)) for rule, policy in pairs]
    enforced = [
        (rule.id, effect) for rule, policy, effect in wanted if effect and "shadow" not in (policy.mode, rule.mode)
    ]
    worst = max((RANK.index(effect) for _, effect in enforced), default=0)
    return (
        RANK[worst],
        next((id_ for id_, effect in enforced if effect == RANK[worst]), None),
        [(rule.id, effect is not None, effect in ("hitl", "block")) for rule, _, effect in wanted],
        [
            (rule.id, effect)
            for rule, policy, effect in wanted
            if effect in ("hitl", "block") and "shadow" in (policy.mode, rule.mode)
        ],
    )


def as_read(outcome: Outcome) -> Any:
    """Return an outcome in the form that `read_literally` gives."""
    return (
        outcome.effect,
        outcome.final_rule.id if outcome.final_rule else None,
        [(each.rule_id, each.matched, each.violated) for each in outcome.evaluated],
        [(each.rule_id, each.effect) for each in outcome.shadow],
    )


NAMES = ("refund", "Refund_all", "search", "a.b", "x")
GLOBS = ("refund", "REFUND*", "*a*", "*", "*", "search", "*.b", "a*b", "nothing")
TAGS = ("pay", "PAY", "web", "Write")
TEXTS = ("gold", "Gold", "refund", "", "0")
HOLDS = {"To a@x.com": "email", "4111 1111-1111 1111": "credit_card"}
NUMBERS = (0, 1, 1.5, 3)
ORDERS = ("eq", "neq", "gt", "gte", "lt", "lte")

effects = st.sampled_from(RANK)
maybe_effect = st.none() | effects
numbers = st.sampled_from(NUMBERS)
orders = st.sampled_from(ORDERS)
names = st.sampled_from(NAMES)
paths = st.sampled_from(("a", "a.b", "list.0", "list.1.a"))
globs = st.lists(st.sampled_from(GLOBS), min_size=1, max_size=2).map(tuple)
tags = st.lists(st.sampled_from(TAGS), min_size=1, max_size=2).map(tuple)
texts = st.sampled_from(TEXTS)
selectors = st.builds(
    ToolSelector,
    st.sampled_from(("toolName", "toolTag")),
    patterns=globs,
    tags=tags,
    op=st.sampled_from(("anyOf", "allOf")),
)
entries = st.none() | st.lists(selectors, min_size=1, max_size=2).map(tuple)
bindings = st.one_of(
    st.builds(schema.SignalBinding, from_=st.sampled_from(("enduserId", "toolName"))),
    st.builds(schema.SignalBinding, from_=st.just("toolArg"), path=paths),
    st.builds(schema.SignalBinding, from_=st.just("subject"), subject_type=st.sampled_from(("order", "user"))),
    st.builds(schema.SignalBinding, from_=st.just("const"), value=texts),
)
clocks = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
days = st.lists(st.sampled_from(("mon", "tue", "wed", "thu", "fri", "sat", "sun")), min_size=1, max_size=4).map(tuple)
domains = st.builds(
    schema.DetectorSubCondition,
    check=st.just("domain"),
    op=st.just("eq"),
    value=st.sampled_from(("x.com", "y.com")),
)
leaves = st.one_of(
    st.builds(
        schema.ToolNameCondition,
        op=st.sampled_from(("eq", "neq", "contains", "startsWith", "endsWith", "glob")),
        value=st.sampled_from(GLOBS),
    ),
    st.builds(schema.ToolNameCondition, op=st.just("in"), value=globs),
    st.builds(schema.ToolTagCondition, op=st.just("has"), tag=st.sampled_from(TAGS)),
    st.builds(schema.ToolTagCondition, op=st.sampled_from(("anyOf", "allOf")), tags=tags),
    st.builds(
        schema.ToolArgCondition,
        type=st.just("string"),
        op=st.sampled_from(("eq", "neq", "contains", "startsWith", "endsWith", "regex")),
        path=st.none() | paths,
        value=texts,
    ),
    st.builds(schema.ToolArgCondition, type=st.just("number"), op=orders, path=paths, value=numbers),
    st.builds(schema.ToolArgCondition, type=st.just("boolean"), op=st.just("eq"), path=paths, value=st.booleans()),
    st.builds(schema.ToolArgCondition, op=st.sampled_from(("exists", "notExists")), path=paths),
    st.builds(
        schema.SensitiveDataCondition,
        path=st.none() | paths,
        op=st.sampled_from(("anyOf", "allOf")),
        detectors=st.lists(
            st.builds(schema.Detector, detector=st.sampled_from(("email", "credit_card", "iban")))
            | st.builds(schema.Detector, detector=st.just("email"), sub_condition=domains),
            min_size=1,
            max_size=2,
        ).map(tuple),
    ),
    st.builds(schema.EnduserTagCondition, op=st.just("has"), tag=st.sampled_from(("tier", "vip"))),
    st.builds(schema.EnduserTagCondition, op=st.just("hasValue"), tag=st.just("tier"), value=texts),
    st.builds(
        schema.EnduserTagCondition,
        op=st.just("hasValueAny"),
        tag=st.just("tier"),
        values=st.lists(texts, min_size=1, max_size=2).map(tuple),
    ),
    st.builds(schema.ExecutionTimeCondition, scope=st.sampled_from(("tool", "total")), op=orders, ms=numbers),
    st.builds(schema.SequenceCondition, must_have_called=entries, must_not_have_called=entries),
    st.builds(
        schema.MaxCallsCondition,
        selector=selectors,
        max=st.sampled_from((0, 1, 3)),
        window_seconds=st.none() | numbers,
        per=st.sampled_from((None, "agent", "agent_user")),
    ),
    st.builds(
        schema.MetricWindowCondition,
        scope=st.just("run"),
        metric=st.builds(schema.MetricRef, kind=st.just("custom"), key=st.sampled_from(("cost", "rows"))),
        aggregate=st.just("sum"),
        op=orders,
        value=numbers,
        on_missing=maybe_effect,
    ),
    st.builds(
        schema.TimeGateCondition,
        timezone=st.just(schema.TimeZoneSource(source="static", tz="UTC")),
        windows=st.lists(st.builds(schema.TimeWindow, days=days, start=clocks, end=clocks), min_size=1, max_size=2).map(
            tuple
        ),
    ),
    st.builds(
        schema.RequireSubjectCondition,
        subject_type=st.sampled_from(("order", "user")),
        id_system=st.sampled_from((None, "crm")),
    ),
    st.builds(
        schema.SignalCondition,
        key=st.sampled_from(("risk", "score")),
        args=st.dictionaries(st.just("it"), bindings, max_size=1),
        op=orders,
        value=numbers,
        on_missing=maybe_effect,
    ),
    st.builds(
        schema.SignalCondition,
        key=st.sampled_from(("risk", "score")),
        op=st.sampled_from(("in", "nin")),
        value=st.lists(numbers | texts, min_size=1, max_size=2),
    ),
    st.builds(schema.CustomCondition, name=st.sampled_from(("one", "two"))),
)


def joining(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return conditions that join *parts*."""
    several = st.lists(parts, min_size=1, max_size=3).map(tuple)
    return st.one_of(
        st.builds(schema.AndCondition, all=several),
        st.builds(schema.OrCondition, any=several),
        st.builds(schema.NotCondition, not_=parts),
    )


def seldom(some: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return None mostly, so that enough rules meet a call."""
    return st.one_of(st.none(), st.none(), st.none(), some)


conditions = st.recursive(leaves, joining, max_leaves=5)
phases = st.sampled_from(("tool.before", "tool.before", "tool.before", "tool.after"))
rules = st.builds(
    Rule,
    id=st.uuids().map(str),
    policy_id=st.just("p"),
    name=st.just("rule"),
    enabled=st.sampled_from((True,) * 7 + (False,)),
    priority=st.integers(-1, 1),
    selector=st.builds(
        RuleSelector,
        phase=phases,
        tool=st.builds(
            ToolPattern,
            name=st.none() | globs | names.map(lambda name: (name,)),
            tags_any=seldom(tags),
            tags_all=seldom(tags),
        ),
    ),
    condition=conditions,
    effect=st.builds(RuleEffect, type=effects),
    on_missing=maybe_effect,
    mode=st.sampled_from((None, "enforce", "shadow")),
)
policies = st.builds(
    Policy,
    id=st.just("p"),
    name=st.just("policy"),
    agent_selector=st.builds(
        schema.AgentSelector,
        any_of_slugs=st.sampled_from((None, None, ("DESK",), ("desk", "x"), ("other",))),
        any_of_tags=seldom(st.just(("Prod", "eu"))),
        all_of_tags=seldom(st.just(("prod", "eu"))),
    ),
    enabled=st.sampled_from((True,) * 7 + (False,)),
    mode=st.sampled_from(("enforce", "enforce", "shadow")),
    on_missing_default=maybe_effect,
    rules=st.lists(rules, min_size=2, max_size=6).map(tuple),
)
values = st.sampled_from((*TEXTS, *HOLDS, *NUMBERS, True, False, None))
calls = st.builds(
    Call,
    phase=phases,
    agent_slug=st.just("Desk"),
    agent_tags=st.sampled_from(((), ("PROD",), ("prod", "EU"))),
    tool_name=names,
    tool_tags=st.lists(st.sampled_from(TAGS), max_size=2).map(tuple),
    args=st.fixed_dictionaries(
        {},
        optional={
            "a": values | st.fixed_dictionaries({}, optional={"b": values}),
            "list": st.lists(values | st.fixed_dictionaries({"a": values}), max_size=2),
        },
    ),
    actor=st.none()
    | st.builds(Actor, st.just("u"), metadata=st.none() | st.dictionaries(st.sampled_from(("tier", "vip")), texts)),
    subjects=st.lists(
        st.builds(SubjectRef, st.sampled_from(("order", "user")), texts, id_system=st.sampled_from((None, "crm"))),
        max_size=2,
    ).map(tuple),
    metrics=st.dictionaries(st.just("duration_ms"), numbers),
    now=st.datetimes(
        datetime(2026, 1, 1),
        datetime(2026, 12, 31),
        timezones=st.just(timezone.utc),
    ),
)
facts = st.builds(
    StatedFacts,
    past=st.none()
    | st.lists(st.builds(PastCall, names, st.lists(st.sampled_from(TAGS), max_size=2).map(tuple)), max_size=3).map(
        tuple
    ),
    counts=st.dictionaries(st.sampled_from(("run", "agent", "agent_user")), st.integers(0, 4)),
    metrics=st.dictionaries(st.sampled_from(("cost", "rows")), numbers),
    run_time_ms=st.none() | numbers,
    signals=st.dictionaries(st.sampled_from(("risk", "score")), numbers | texts),
    customs=st.dictionaries(st.sampled_from(("one", "two")), st.booleans()),
)
several_policies = st.lists(policies, min_size=1, max_size=3)


def engine_for(call: Call, policies: Sequence[Policy]) -> Engine:
    """Return the engine of the agent that calls."""
    return compile_policies(policies, agent_slug=call.agent_slug, agent_tags=call.agent_tags)


class TestEngine:
    @settings(deadline=None, max_examples=300)
    @given(several_policies, calls, facts)
    def test_is_the_spec(self, policies: list[Policy], call: Call, facts: StatedFacts) -> None:
        """The compiled and indexed engine says what the rules say when they are read one by one."""
        engine = engine_for(call, policies)

        expected = read_literally(policies, call, facts)
        assert expected == as_read(engine.evaluate(call, facts))
        assert expected == as_read(engine.evaluate(call, facts))

    @settings(deadline=None, max_examples=100)
    @given(several_policies, st.lists(calls, min_size=2, max_size=5), facts)
    def test_keeps_no_state(self, policies: list[Policy], calls: list[Call], facts: StatedFacts) -> None:
        """What an engine says of a call does not depend on the calls that it saw before."""
        calls = [evolve(call, agent_tags=()) for call in calls]
        engine = engine_for(calls[0], policies)
        first = [engine.evaluate(call, facts) for call in calls]

        assert first == [engine_for(call, policies).evaluate(call, facts) for call in calls]
        assert first == [engine.evaluate(call, facts) for call in calls]

    @settings(deadline=None, max_examples=100)
    @given(several_policies, rules, calls, facts)
    def test_another_block_never_allows(
        self, policies: list[Policy], rule: Rule, call: Call, facts: StatedFacts
    ) -> None:
        """One more rule that can only block makes no call milder, and what it does not meet no call harder."""
        blocking = evolve(rule, effect=RuleEffect(type="block"), on_missing="block")
        more = [*policies, Policy(id="q", name="more", rules=(blocking,))]
        before = engine_for(call, policies).evaluate(call, facts).effect
        after = engine_for(call, more).evaluate(call, facts).effect

        assert RANK.index(before) <= RANK.index(after)

    @settings(deadline=None, max_examples=100)
    @given(several_policies, calls, facts)
    def test_order_of_writing(self, policies: list[Policy], call: Call, facts: StatedFacts) -> None:
        """The order in which policies and rules are written changes neither outcome nor version."""
        turned = [evolve(policy, rules=policy.rules[::-1]) for policy in reversed(policies)]
        one, other = engine_for(call, policies), engine_for(call, turned)

        assert one.version == other.version
        assert one.evaluate(call, facts) == other.evaluate(call, facts)

    @settings(deadline=None, max_examples=100)
    @given(several_policies, calls, facts)
    def test_what_is_announced(self, policies: list[Policy], call: Call, facts: StatedFacts) -> None:
        """Nothing is asked that was not announced, and nothing twice."""
        engine = engine_for(call, policies)
        engine.evaluate(call, facts)
        kinds = {question[0] for question in facts.asked}
        keys = {question[1].key for question in facts.asked if question[0] == "metric"}

        assert engine.needs_past(call.phase, call.tool_name, call.tool_tags) or kinds <= {"signal", "custom"}
        assert engine.needs_run_time or "run_tool_time_ms" not in kinds
        assert keys <= engine.metric_keys
        assert len(facts.asked) == len({repr(question) for question in facts.asked})

    @settings(deadline=None, max_examples=100)
    @given(several_policies, calls, facts, names, st.lists(st.sampled_from(TAGS), max_size=2))
    def test_what_is_not_remembered(
        self, policies: list[Policy], call: Call, facts: StatedFacts, name: str, tags: list[str]
    ) -> None:
        """A call that need not be remembered changes no later outcome, whether it is in the past or not."""
        engine = engine_for(call, policies)
        past = facts.past or ()
        without = evolve(facts, past=past, asked=[])
        with_it = evolve(facts, past=(*past, PastCall(name, tuple(tags))), asked=[])
        same = engine.evaluate(call, without) == engine.evaluate(call, with_it)
        counted = [question[1].calls for question in without.asked if question[0] == "count_calls"]
        counts = any(calls.matches(name, tags) for calls in counted)

        assert engine.remembers(name, tags) or (same and not counts)
