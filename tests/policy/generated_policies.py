"""Strategies that make valid policies of every kind of condition."""

from __future__ import annotations

from hypothesis import strategies as st

from handlebar.core.schema import rules
from handlebar.core.schema.metrics import INBUILT_KEYS
from handlebar.policy.detecting.catalogue import DETECTORS

# No cased letters with odd foldings: ids come of names, and two names may not come to one id.
words = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=8)
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
word_lists = st.lists(words, min_size=1, max_size=3).map(tuple)
text_lists = st.lists(texts, min_size=1, max_size=3).map(tuple)
numbers = st.integers(-(10**6), 10**6) | st.floats(allow_nan=False, allow_infinity=False)
seconds = st.integers(1, 10**6) | st.floats(min_value=0.1, max_value=1e6)
paths = st.lists(words, min_size=1, max_size=3).map(".".join)
effects = st.sampled_from(["allow", "hitl", "block"])
comparisons = st.sampled_from(["gt", "gte", "lt", "lte", "eq", "neq"])
zones = st.sampled_from(["UTC", "Europe/Berlin", "Asia/Tokyo"])
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(words, parts, max_size=3),
    max_leaves=6,
)


def maybe(strategy):
    """Sometimes None."""
    return st.none() | strategy


tool_names = st.builds(
    rules.ToolNameCondition,
    op=st.sampled_from(["neq", "contains", "startsWith", "endsWith"]),
    value=words,
) | st.builds(rules.ToolNameCondition, op=st.just("in"), value=st.just(("a", "b*")))
tool_tags = st.builds(rules.ToolTagCondition, op=st.just("has"), tag=words) | st.builds(
    rules.ToolTagCondition, op=st.sampled_from(["anyOf", "allOf"]), tags=word_lists
)
tool_args = st.one_of(
    st.builds(
        rules.ToolArgCondition,
        type=st.just("string"),
        op=st.sampled_from(["eq", "neq", "contains", "startsWith", "endsWith"]),
        path=maybe(paths),
        value=texts,
    ),
    st.builds(rules.ToolArgCondition, type=st.just("string"), op=st.just("in"), path=maybe(paths), value=text_lists),
    st.builds(
        rules.ToolArgCondition,
        type=st.just("string"),
        op=st.just("regex"),
        path=maybe(paths),
        value=st.sampled_from(["a+", "^x$", r"\d{3}"]),
    ),
    # Comparisons in one direction only: no two of them contradict each other.
    st.builds(
        rules.ToolArgCondition,
        type=st.just("number"),
        op=st.sampled_from(["gt", "gte"]),
        path=paths,
        value=numbers,
    ),
    st.builds(rules.ToolArgCondition, type=st.just("boolean"), op=st.just("eq"), path=paths, value=st.booleans()),
    st.builds(rules.ToolArgCondition, op=st.sampled_from(["exists", "notExists"]), path=paths),
)
enduser_tags = st.one_of(
    st.builds(rules.EnduserTagCondition, op=st.just("has"), tag=words),
    st.builds(rules.EnduserTagCondition, op=st.just("hasValue"), tag=words, value=texts),
    st.builds(rules.EnduserTagCondition, op=st.just("hasValueAny"), tag=words, values=text_lists),
)
execution_times = st.builds(
    rules.ExecutionTimeCondition,
    scope=st.sampled_from(["tool", "total"]),
    op=st.sampled_from(["gt", "gte"]),
    ms=st.integers(0, 10**6),
)
by_name = st.builds(rules.ToolSelector, by=st.just("toolName"), patterns=word_lists)
by_tag = st.builds(rules.ToolSelector, by=st.just("toolTag"), tags=word_lists)
by_all_tags = st.builds(rules.ToolSelector, by=st.just("toolTag"), tags=word_lists, op=st.just("allOf"))
selector_lists = st.lists(by_name | by_tag | by_all_tags, min_size=1, max_size=2).map(tuple)
sequences = st.builds(
    rules.SequenceCondition, must_have_called=selector_lists, must_not_have_called=maybe(selector_lists)
) | st.builds(rules.SequenceCondition, must_not_have_called=selector_lists)
max_calls = st.builds(
    rules.MaxCallsCondition,
    selector=by_name | by_tag,
    max=st.integers(0, 1000),
    window_seconds=maybe(seconds),
    per=maybe(st.sampled_from(["agent", "agent_user"])),
    tag_filter=maybe(st.dictionaries(words, texts, min_size=1, max_size=2)),
)
metrics = st.builds(rules.MetricRef, kind=st.just("inbuilt"), key=st.sampled_from(sorted(INBUILT_KEYS))) | st.builds(
    rules.MetricRef, kind=st.just("custom"), key=words
)
metric_windows = st.builds(
    rules.MetricWindowCondition,
    scope=st.sampled_from(["run", "agent", "agent_user"]),
    metric=metrics,
    aggregate=st.sampled_from(["sum", "avg", "max", "min", "count"]),
    window_seconds=seconds,
    op=st.sampled_from(["gt", "gte"]),
    value=numbers,
    on_missing=maybe(effects),
)
time_zones = st.one_of(
    st.builds(rules.TimeZoneSource, source=st.just("static"), tz=zones),
    st.builds(rules.TimeZoneSource, source=st.just("enduserTag"), tag=words),
    st.builds(rules.TimeZoneSource, source=st.just("enduserTag"), tag=words, fallback=st.just("org"), tz=maybe(zones)),
)
clocks = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
windows = st.builds(
    rules.TimeWindow,
    days=st.lists(st.sampled_from(["mon", "wed", "sun"]), min_size=1, max_size=3).map(tuple),
    start=clocks,
    end=clocks,
)
time_gates = st.builds(
    rules.TimeGateCondition,
    timezone=time_zones,
    windows=st.lists(windows, min_size=1, max_size=2).map(tuple),
)
subjects = st.builds(rules.RequireSubjectCondition, subject_type=words, id_system=maybe(words))
bindings = st.one_of(
    st.builds(rules.SignalBinding, from_=st.sampled_from(["enduserId", "toolName"])),
    st.builds(rules.SignalBinding, from_=st.sampled_from(["enduserTag", "toolTag"]), tag=words),
    st.builds(rules.SignalBinding, from_=st.just("toolArg"), path=paths),
    st.builds(
        rules.SignalBinding,
        from_=st.just("subject"),
        subject_type=words,
        role=maybe(words),
        field=maybe(st.sampled_from(["id", "idSystem"])),
    ),
    st.builds(rules.SignalBinding, from_=st.just("const"), value=json_values.filter(lambda value: value is not None)),
)
signal_args = st.dictionaries(words, bindings, max_size=2)
signals = st.one_of(
    st.builds(
        rules.SignalCondition,
        key=words,
        args=signal_args,
        op=st.sampled_from(["eq", "neq"]),
        value=json_values,
        on_missing=maybe(effects),
    ),
    st.builds(rules.SignalCondition, key=words, args=signal_args, op=st.just("lte"), value=numbers | texts),
    st.builds(
        rules.SignalCondition,
        key=words,
        op=st.sampled_from(["in", "nin"]),
        value=st.lists(json_values, min_size=1, max_size=2),
    ),
)
customs = st.builds(rules.CustomCondition, name=words, args=st.dictionaries(words, json_values, max_size=2))
domains = st.lists(words, min_size=2, max_size=3).map(".".join)


def found_checks(check, ops, values):
    """Return conditions on what a detector found."""
    several = values | st.lists(values, min_size=1, max_size=2).map(tuple)
    return st.builds(rules.DetectorSubCondition, check=st.just(check), op=st.sampled_from(ops), value=several)


found_domains = found_checks("domain", ["eq", "neq", "endsWith", "in"], domains)
found_top_levels = found_checks("tld", ["eq", "neq", "in"], st.sampled_from(["com", "org"]))
found_schemes = found_checks("scheme", ["eq", "neq", "in"], st.sampled_from(["http", "ftp"]))
detectors = st.one_of(
    st.builds(
        rules.Detector,
        detector=st.sampled_from(["email", "email_domain"]),
        sub_condition=maybe(found_domains | found_top_levels),
    ),
    st.builds(
        rules.Detector,
        detector=st.just("url"),
        sub_condition=maybe(found_domains | found_top_levels | found_schemes),
    ),
    st.builds(rules.Detector, detector=st.sampled_from(DETECTORS)),
)
sensitive_data = st.builds(
    rules.SensitiveDataCondition,
    path=maybe(paths),
    op=st.sampled_from(["anyOf", "allOf"]),
    detectors=st.lists(detectors, min_size=1, max_size=3).map(tuple),
)
leaves = st.one_of(
    tool_names,
    tool_tags,
    tool_args,
    enduser_tags,
    execution_times,
    sequences,
    max_calls,
    metric_windows,
    time_gates,
    subjects,
    signals,
    customs,
    sensitive_data,
)
conditions = st.recursive(
    leaves,
    lambda parts: st.one_of(
        st.builds(rules.AndCondition, all=st.lists(parts, min_size=1, max_size=2).map(tuple)),
        st.builds(rules.OrCondition, any=st.lists(parts, min_size=1, max_size=2).map(tuple)),
        st.builds(rules.NotCondition, not_=parts),
    ),
    max_leaves=4,
)
tools = st.builds(
    rules.ToolPattern,
    name=maybe(st.just(("*",))),
    tags_any=maybe(word_lists),
    tags_all=maybe(word_lists),
)
rule_effects = st.builds(rules.RuleEffect, type=effects, reason=maybe(texts)) | st.builds(
    rules.RuleEffect,
    type=st.sampled_from(["hitl", "block"]),
    reason=maybe(texts),
    control=maybe(st.sampled_from(["CONTINUE", "TERMINATE"])),
    guidance=maybe(texts),
)
# Conditions on the time that a call took are for after the call.
selectors = st.builds(rules.RuleSelector, phase=st.just("tool.after"), tool=tools)


@st.composite
def policies(draw):
    """Return a valid policy with one to three rules."""
    policy_id = draw(words)
    ids = draw(st.lists(words, min_size=1, max_size=3, unique=True))
    made = [
        draw(
            st.builds(
                rules.Rule,
                id=st.just(rule_id),
                policy_id=st.just(policy_id),
                name=words,
                enabled=st.booleans(),
                priority=st.integers(-9, 9),
                selector=selectors,
                condition=conditions,
                effect=rule_effects,
                on_missing=maybe(effects),
                mode=maybe(st.sampled_from(["enforce", "shadow"])),
            )
        )
        for rule_id in ids
    ]
    head = st.builds(
        rules.Policy,
        id=st.just(policy_id),
        name=words,
        description=maybe(texts),
        agent_selector=st.builds(
            rules.AgentSelector,
            any_of_slugs=maybe(word_lists),
            any_of_tags=maybe(word_lists),
            all_of_tags=maybe(word_lists),
        ),
        enabled=st.booleans(),
        mode=st.sampled_from(["enforce", "shadow"]),
        on_missing_default=maybe(effects),
        rules=st.just(tuple(made)),
    )
    return draw(head)
