"""What travels: bodies, events, answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from handlebar._plumbing import safe_json
from handlebar.core import wire
from handlebar.core.measuring import Measured
from handlebar.core.plane import EncodedEvent, EvaluateRequest, Lockdown, StartRequest
from handlebar.core.schema import events
from handlebar.core.schema.agents import Actor, ActorGroup, AgentDescriptor, ModelInfo, Tool
from handlebar.core.schema.events import EVENT_CLASSES, AuditEvent, RawJson
from handlebar.core.schema.governance import (
    FAILCLOSED_DECISION,
    FAILOPEN_DECISION,
    AllowCause,
    Decision,
    HitlPendingCause,
    LockdownCause,
    PolicyVersion,
    RuleEval,
    RuleViolationCause,
    RunControl,
    ShadowEffect,
    Verdict,
)
from handlebar.core.schema.metrics import MetricInfo
from handlebar.core.schema.subjects import SubjectRef
from handlebar.core.schema.traces import ConditionTrace, RuleTrace
from handlebar.errors import BadAnswerError

texts = st.text(max_size=8)
names = st.text(min_size=1, max_size=8).filter(str.strip)
numbers = st.integers(0, 10**9) | st.floats(0, 1e9)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
raw = json_values.map(lambda value: RawJson(safe_json.encode(value)))
tags = st.lists(texts, max_size=2).map(tuple)
text_by_text = st.dictionaries(texts, texts, max_size=2)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Give None as well."""
    return st.none() | strategy


groups = st.builds(ActorGroup, names, maybe(text_by_text), maybe(texts))
actors = st.builds(Actor, names, maybe(text_by_text), maybe(texts), maybe(groups))
models = st.builds(ModelInfo, names, maybe(texts))
subjects = st.builds(SubjectRef, names, texts, maybe(texts), maybe(texts))
causes = st.one_of(
    st.just(AllowCause()),
    st.builds(RuleViolationCause, texts),
    st.builds(HitlPendingCause, texts, maybe(texts)),
    st.builds(LockdownCause, maybe(texts)),
)
rule_evals = st.builds(RuleEval, texts, st.booleans(), st.booleans(), st.booleans())
shadows = st.builds(ShadowEffect, texts, texts, texts)
versions = st.builds(PolicyVersion, texts, st.integers())
trace_answers = st.sampled_from(["matched", "notMatched", "missing", "skipped"])
condition_traces = st.recursive(
    st.builds(ConditionTrace, kind=texts, asks=texts, answer=trace_answers, because=texts),
    lambda parts: st.builds(
        ConditionTrace,
        kind=texts,
        asks=texts,
        answer=trace_answers,
        because=texts,
        parts=st.lists(parts, max_size=2).map(tuple),
    ),
    max_leaves=4,
)
rule_traces = st.builds(
    RuleTrace,
    rule_id=texts,
    rule_name=texts,
    policy_id=texts,
    answer=trace_answers,
    because=texts,
    effect=maybe(st.sampled_from(["allow", "hitl", "block"])),
    enforced=st.booleans(),
    condition=maybe(condition_traces),
)
decisions = st.builds(
    Decision,
    st.sampled_from(Verdict),
    st.sampled_from(RunControl),
    causes,
    texts,
    st.lists(rule_evals, max_size=3),
    maybe(texts),
    maybe(texts),
    st.lists(shadows, max_size=2),
    maybe(texts),
    st.lists(versions, max_size=2),
    maybe(st.lists(rule_traces, max_size=2).map(tuple)),
)
identities = st.builds(events.ToolIdentity, texts, maybe(tags))
metric_maps = maybe(st.dictionaries(names, st.builds(MetricInfo, numbers, maybe(texts)), max_size=2))
DATA: dict[type[AuditEvent], st.SearchStrategy[Any]] = {
    events.RunStartedEvent: st.builds(
        events.RunStartedData,
        agent=st.builds(events.AgentIdentity, maybe(texts), maybe(texts), maybe(texts), maybe(texts)),
        adapter=st.builds(events.AdapterIdentity, texts, maybe(texts)),
        actor=maybe(actors),
        model=maybe(models),
        env=maybe(texts),
        policy=maybe(st.builds(events.PolicyIdentity, maybe(texts), maybe(st.integers()))),
        request=maybe(st.builds(events.RequestIdentity, maybe(texts), maybe(texts))),
    ),
    events.MessageRawCreatedEvent: st.builds(
        events.MessageRawCreatedData,
        message_id=texts,
        role=texts,
        kind=texts,
        content=texts,
        content_truncated=st.booleans(),
        turn_index=maybe(st.integers()),
        name=maybe(texts),
        parent_message_id=maybe(texts),
        tags=maybe(tags),
    ),
    events.ToolDecisionEvent: st.builds(
        events.ToolDecisionData,
        verdict=st.sampled_from(Verdict),
        control=st.sampled_from(RunControl),
        cause=causes,
        message=texts,
        evaluated_rules=st.lists(rule_evals, max_size=2).map(tuple),
        final_rule_id=maybe(texts),
        tool=identities,
        subjects=maybe(st.lists(subjects, max_size=2).map(tuple)),
        args=maybe(raw),
        args_meta=maybe(st.builds(events.ArgsMeta, st.integers(), st.booleans())),
        hitl=maybe(st.builds(events.HitlState, maybe(texts), maybe(texts), maybe(texts))),
        latency_ms=maybe(st.floats(0, 1e9)),
        shadow=maybe(st.lists(shadows, max_size=2).map(tuple)),
    ),
    events.ToolResultEvent: st.builds(
        events.ToolResultData,
        tool=identities,
        outcome=texts,
        duration_ms=maybe(st.floats(0, 1e9)),
        error=maybe(st.builds(events.ErrorIdentity, maybe(texts), maybe(texts), maybe(texts))),
        metrics=maybe(st.builds(events.EventMetrics, metric_maps, metric_maps)),
        counters=maybe(st.dictionaries(texts, st.floats(0, 1e9), max_size=2)),
        result_meta=maybe(st.dictionaries(texts, st.integers() | texts | st.booleans(), max_size=2)),
    ),
    events.LlmResultEvent: st.builds(
        events.LlmResultData,
        model=models,
        tokens=st.builds(events.TokenCounts, st.integers(), st.integers()),
        message_count=st.integers(),
        duration_ms=maybe(st.floats(0, 1e9)),
        debug=maybe(st.builds(events.LlmDebug, maybe(st.dictionaries(texts, st.integers(), max_size=2)))),
    ),
    events.RunEndedEvent: st.builds(events.RunEndedData, status=texts, total_steps=st.integers(), summary=maybe(texts)),
    events.ErrorEvent: st.builds(
        events.ErrorData, scope=texts, message=texts, details=maybe(text_by_text), fatal=maybe(st.booleans())
    ),
}


def events_of(kind: type[AuditEvent]) -> st.SearchStrategy[AuditEvent]:
    """Build events of one class, with and without each of their parts."""
    return st.builds(
        kind,
        time_ns=st.integers(0, 4 * 10**18).map(lambda moment: moment // 1000 * 1000),
        run_id=texts,
        session_id=maybe(texts),
        step_index=maybe(st.integers()),
        actor_external_id=maybe(texts),
        otel=maybe(st.builds(events.OtelIds, maybe(texts), maybe(texts))),
        sample=maybe(st.builds(events.Sample, maybe(st.floats(0, 1)), maybe(texts))),
        redaction=maybe(st.builds(events.Redaction, maybe(texts))),
        data=DATA[kind],
    )


any_event = st.sampled_from(EVENT_CLASSES).flatmap(events_of)


def by_value(event: AuditEvent) -> AuditEvent:
    """Return *event* with its arguments in one spelling; null is as good as absent."""
    args = getattr(event.data, "args", None)
    if args is None:
        return event
    value = json.loads(args.text)
    same = None if value is None else RawJson(safe_json.canonical(value))
    return evolve(event, data=evolve(event.data, args=same))


def nulls(value: Any, path: str = "$") -> list[str]:
    """Return where in *value* there are nulls."""
    if value is None:
        return [path]
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, part in parts for found in nulls(part, f"{path}.{key}")]


def test_there_is_a_strategy_for_every_class() -> None:
    """No class of event is left out of the laws below."""
    assert set(EVENT_CLASSES) == set(DATA)


@pytest.mark.parametrize("kind", EVENT_CLASSES)
def test_events_come_back_as_they_were(kind: type[AuditEvent]) -> None:
    """An event that was written and read is equal to the one it was, to the microsecond."""

    @given(events_of(kind))
    def law(event: AuditEvent) -> None:
        assert by_value(event) == by_value(wire.event_from_dict(wire.event_to_dict(event)))

    law()


@given(any_event)
def test_events_have_their_envelope_and_no_nulls(event: AuditEvent) -> None:
    """Every event names schema, kind and time first, and leaves out what is absent."""
    encoded = wire.encode_event(event)
    written = json.loads(encoded.text)
    assert ["schema", "kind", "ts"] == list(written)[:3]
    assert ("handlebar.audit.v1", event.kind, event.run_id) == (written["schema"], encoded.kind, encoded.run_id)
    assert written["ts"] == encoded.ts == wire.timestamp(event.time_ns)
    written["data"].pop("args", None)  # arguments may be any JSON, null too
    assert [] == nulls(written)


@given(any_event, st.dictionaries(texts.map("x-{}".format), json_values, max_size=2))
def test_unknown_keys_and_nulls_are_no_matter_in_events(event: AuditEvent, more: dict[str, Any]) -> None:
    """What a later version adds, and null for what is absent, changes nothing in what is read."""
    written = wire.event_to_dict(event)
    absent = {key: None for key in ("sessionId", "stepIndex", "otel", "sample", "redaction") if key not in written}
    data = {**more, **written["data"]}
    assert by_value(event) == by_value(wire.event_from_dict({**more, **written, **absent, "data": data}))


@given(any_event, st.data())
def test_a_mutilated_event_is_a_bad_answer(event: AuditEvent, data: st.DataObject) -> None:
    """An event with a part replaced is read or refused, with no other error."""
    written = wire.event_to_dict(event)
    where = written if data.draw(st.booleans()) else written["data"]
    where[data.draw(st.sampled_from(sorted(where)))] = data.draw(json_values)
    try:
        wire.event_from_dict(written)
    except BadAnswerError:
        pass


@pytest.mark.parametrize(
    "change", [{"kind": "run.exploded"}, {"kind": None}, {"ts": "yesterday"}, {"ts": None}, {"data": None}]
)
def test_what_is_no_event_is_refused(change: dict[str, Any]) -> None:
    """An unknown kind, a missing time and missing data are bad answers."""
    event = events.RunEndedEvent(time_ns=0, run_id="r", data=events.RunEndedData(status="success", total_steps=1))
    with pytest.raises(BadAnswerError):
        wire.event_from_dict({**wire.event_to_dict(event), **change})


def test_an_event_as_it_is_on_the_wire() -> None:
    """A decision's event, spelled out."""
    event = events.ToolDecisionEvent(
        time_ns=1_767_323_045_000_006_789,
        run_id="r-1",
        step_index=0,
        data=events.ToolDecisionData(
            verdict=Verdict.BLOCK,
            control=RunControl.CONTINUE,
            cause=HitlPendingCause("a-1", "rule-1"),
            message="Ask first",
            evaluated_rules=(RuleEval("rule-1", enabled=True, matched=True, violated=True),),
            final_rule_id="rule-1",
            tool=events.ToolIdentity("refund", ("payments",)),
            args=RawJson('{"amount":40.0}'),
            hitl=events.HitlState("a-1", status="pending"),
        ),
    )
    assert {
        "schema": "handlebar.audit.v1",
        "kind": "tool.decision",
        "ts": "2026-01-02T03:04:05.000006Z",
        "runId": "r-1",
        "stepIndex": 0,
        "data": {
            "verdict": "BLOCK",
            "control": "CONTINUE",
            "cause": {"kind": "HITL_PENDING", "approvalId": "a-1", "ruleId": "rule-1"},
            "message": "Ask first",
            "evaluatedRules": [{"ruleId": "rule-1", "enabled": True, "matched": True, "violated": True}],
            "finalRuleId": "rule-1",
            "tool": {"name": "refund", "categories": ["payments"]},
            "args": {"amount": 40.0},
            "hitl": {"hitlActionId": "a-1", "status": "pending"},
        },
    } == wire.event_to_dict(event)


@given(st.integers(0, 4 * 10**18))
def test_times_are_kept_to_the_microsecond(moment: int) -> None:
    """A time stamp is ISO 8601 in UTC with six digits, and can be read back."""
    written = wire.timestamp(moment)
    assert len("2026-01-02T03:04:05.000006Z") == len(written)
    assert moment // 1000 * 1000 == wire.nanoseconds(written)


def test_times_in_other_zones_are_read() -> None:
    """The same moment is the same number in any zone."""
    assert wire.nanoseconds("2026-01-02T03:04:05Z") == wire.nanoseconds("2026-01-02T04:34:05.000+01:30")


@given(decisions)
def test_decisions_come_back_as_they_were(decision: Decision) -> None:
    """A decision that was written as JSON and read is equal to the one it was."""
    text = json.dumps(wire.decision_to_dict(decision))
    assert decision == wire.decision_from_dict(json.loads(text)) == wire.decode_decision(text.encode())
    assert [] == nulls(json.loads(text))


@given(decisions, st.dictionaries(texts.map("x-{}".format), json_values, max_size=2))
def test_unknown_keys_and_nulls_are_no_matter_in_decisions(decision: Decision, more: dict[str, Any]) -> None:
    """What a later version adds, and null for what is absent, changes nothing in a decision."""
    written = wire.decision_to_dict(decision)
    absent = {key: None for key in ("finalRuleId", "guidance", "shadow", "trace") if key not in written}
    if not decision.evaluated_rules:
        absent["evaluatedRules"] = None
    cause = {**{"ruleId": None, "lockdownId": None}, **more, **written["cause"]}
    body = {**more, **written, **absent, "cause": cause}
    assert decision == wire.decode_decision(json.dumps(body).encode())


@pytest.mark.parametrize(
    ("decision", "expected"),
    [
        (
            FAILOPEN_DECISION,
            {"verdict": "ALLOW", "control": "CONTINUE", "cause": {"kind": "ALLOW"}, "evaluatedRules": []}
            | {"message": "API unavailable; failing open"},
        ),
        (
            FAILCLOSED_DECISION,
            {"verdict": "BLOCK", "control": "TERMINATE", "cause": {"kind": "LOCKDOWN"}, "evaluatedRules": []}
            | {"message": "API unavailable; failing closed"},
        ),
    ],
)
def test_decisions_as_they_are_on_the_wire(decision: Decision, expected: dict[str, Any]) -> None:
    """The two answers of an absent control plane, spelled out."""
    assert expected == json.loads(safe_json.encode(wire.decision_to_dict(decision)))


def read(decode: Callable[[bytes], Any], body: bytes) -> Any:
    """Return what *decode* makes of *body*, or the error that is allowed."""
    try:
        return decode(body)
    except BadAnswerError as error:
        return error


DECODERS = {wire.decode_decision: Decision, wire.decode_agent_id: str, wire.decode_lockdown: Lockdown}
likely_keys = st.sampled_from(
    ["verdict", "control", "cause", "message", "evaluatedRules", "shadow", "agentId", "lockdown"]
)
likely_words = st.sampled_from(["ALLOW", "BLOCK", "CONTINUE", "TERMINATE", "LOCKDOWN", "RULE_VIOLATION"])
answers = st.recursive(
    likely_words | json_values | st.just(float("nan")) | st.just(float("inf")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            likely_keys | st.sampled_from(["kind", "ruleId", "active", "until_ts", "reason"]), inner, max_size=8
        )
    ),
    max_leaves=20,
)


@given(st.binary() | answers.map(lambda answer: json.dumps(answer).encode()))
def test_any_answer_is_read_or_refused(body: bytes) -> None:
    """Whatever bytes come back, there is a good value or a BadAnswerError, and nothing else."""
    for decode, kind in DECODERS.items():
        assert isinstance(read(decode, body), (kind, BadAnswerError))


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[" * 100_000, b'{"a":' * 100_000, b"\xff\xfe", b"1" * 10_000, b'"\\ud800"', b"{}"]
)
def test_nonsense_is_no_decision(body: bytes) -> None:
    """Empty, deep, broken and huge answers are refused like any other."""
    with pytest.raises(BadAnswerError):
        wire.decode_decision(body)


GOOD: dict[str, Any] = {
    "verdict": "ALLOW",
    "control": "CONTINUE",
    "cause": {"kind": "ALLOW"},
    "message": "fine",
    "evaluatedRules": [{"ruleId": "r", "enabled": True, "matched": False, "violated": False}],
}


@pytest.mark.parametrize(
    "change",
    [
        {"verdict": "MAYBE"},
        {"verdict": "allow"},
        {"verdict": None},
        {"verdict": ["ALLOW"]},
        {"control": "PAUSE"},
        {"control": None},
        {"cause": None},
        {"cause": "ALLOW"},
        {"cause": {}},
        {"cause": {"kind": "WEATHER"}},
        {"cause": {"kind": ["ALLOW"]}},
        {"cause": {"kind": "RULE_VIOLATION"}},
        {"cause": {"kind": "HITL_PENDING", "ruleId": "r"}},
        {"cause": {"kind": "LOCKDOWN", "lockdownId": 1}},
        {"message": None},
        {"message": 5},
        {"evaluatedRules": 0},
        {"evaluatedRules": False},
        {"evaluatedRules": ""},
        {"evaluatedRules": {}},
        {"evaluatedRules": {"ruleId": "r"}},
        {"evaluatedRules": ["r"]},
        {"evaluatedRules": [{"ruleId": "r", "enabled": 1, "matched": False, "violated": False}]},
        {"evaluatedRules": [{"ruleId": "r"}]},
        {"finalRuleId": 5},
        {"guidance": []},
        {"shadow": "x"},
        {"shadow": [{}]},
        {"trace": "x"},
        {"trace": [{}]},
        {"trace": ["r"]},
    ],
    ids=json.dumps,
)
def test_a_decision_with_a_wrong_part_is_refused(change: dict[str, Any]) -> None:
    """An unknown word, a missing part or a wrong type is never taken for an ALLOW."""
    assert Verdict.ALLOW is wire.decode_decision(json.dumps(GOOD).encode()).verdict
    with pytest.raises(BadAnswerError):
        wire.decode_decision(json.dumps({**GOOD, **change}).encode())


def test_a_bad_answer_does_not_show_what_came() -> None:
    """The error's words hold nothing of the answer, which may hold anything."""
    with pytest.raises(BadAnswerError) as caught:
        wire.decode_decision(b'{"verdict": "secret"}')
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({}, Lockdown()),
        ({"lockdown": None}, Lockdown()),
        ({"lockdown": {"active": False, "reason": None, "until_ts": None}}, Lockdown()),
        ({"lockdown": {"active": True, "reason": "audit", "x": 1}}, Lockdown(active=True, reason="audit")),
        ({"lockdown": {"active": True, "until_ts": 5.0}}, Lockdown(active=True, until_ts=5)),
    ],
)
def test_lockdowns(answer: dict[str, Any], expected: Lockdown) -> None:
    """The answer to a start is read, with null as good as absent."""
    assert expected == wire.decode_lockdown(json.dumps(answer).encode())


@pytest.mark.parametrize(
    "lockdown", [{"active": "yes"}, {"active": 1}, {"active": True, "until_ts": "soon"}, {"reason": 5}, [1], "on"]
)
def test_a_malformed_lockdown_is_refused(lockdown: object) -> None:
    """What cannot be read is never taken for "no lockdown"."""
    with pytest.raises(BadAnswerError):
        wire.decode_lockdown(json.dumps({"lockdown": lockdown}).encode())


def test_the_agents_id() -> None:
    """The answer to a registration is read; anything but text is refused."""
    assert "a-1" == wire.decode_agent_id(b'{"agentId": "a-1", "more": 1}')
    for body in (b"{}", b'{"agentId": null}', b'{"agentId": 5}', b'"a-1"'):
        with pytest.raises(BadAnswerError):
            wire.decode_agent_id(body)


def body(text: str) -> Any:
    """Read a body, and see to it that it holds no nulls and is compact."""
    read_ = json.loads(text)
    assert safe_json.encode(read_) == text
    return read_


@pytest.mark.parametrize(
    ("agent", "tools", "expected"),
    [
        (AgentDescriptor("desk"), (), {"slug": "desk"}),
        (
            AgentDescriptor("desk", "Desk", "Refunds", ["a", "b"]),
            (Tool("Refund Order", "Pays back", ["payments"]), Tool("look")),
            {
                "slug": "desk",
                "name": "Desk",
                "description": "Refunds",
                "tags": ["a", "b"],
                "tools": [
                    {"name": "Refund Order", "description": "Pays back", "tags": ["payments"]},
                    {"name": "look"},
                ],
            },
        ),
    ],
    ids=["least", "most"],
)
def test_registering_an_agent(agent: AgentDescriptor, tools: tuple[Tool, ...], expected: object) -> None:
    """The body of POST /v1/agents."""
    assert expected == body(wire.encode_agent(agent, tools))


def test_registering_tools() -> None:
    """The body of PUT /v1/agents/{agentId}/tools."""
    assert {
        "tools": [
            {
                "key": "function:refund-order",
                "name": "Refund Order",
                "version": 1,
                "kind": "function",
                "description": "Pays back",
                "metadata": {"metadata": ["payments", "write"]},
            },
            {"key": "function:look_up", "name": "look_up", "version": 1, "kind": "function"},
        ]
    } == body(wire.encode_tools([Tool("Refund Order", "Pays back", ["payments", "write"]), Tool("look_up")]))


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (StartRequest(run_id="r", agent_id="a"), {"agentId": "a"}),
        (
            StartRequest(
                run_id="r",
                agent_id="a",
                session_id="s",
                actor=Actor("u-1", {"plan": "pro"}, "Ann", ActorGroup("g-1", {"size": "5"}, "Team")),
                model=ModelInfo("gpt-4o", "openai"),
            ),
            {
                "agentId": "a",
                "sessionId": "s",
                "actor": {
                    "externalId": "u-1",
                    "metadata": {"plan": "pro"},
                    "name": "Ann",
                    "group": {"externalId": "g-1", "metadata": {"size": "5"}, "name": "Team"},
                },
                "model": {"name": "gpt-4o", "provider": "openai"},
            },
        ),
    ],
    ids=["least", "most"],
)
def test_starting_a_run(request_: StartRequest, expected: object) -> None:
    """The body of POST /v1/runs/{runId}/start: the id is in the path only."""
    assert expected == body(wire.encode_start(request_))


def test_asking_for_a_decision() -> None:
    """The body of POST /v1/runs/{runId}/evaluate, with all there is."""
    request = EvaluateRequest(
        phase="tool.after",
        run_id="r",
        agent_id="a",
        tool_name="refund",
        tool_tags=("payments",),
        args=Measured.of({"amount": 40.0}),
        result=Measured.of(["ok"]),
        actor=Actor("u-1", {"plan": "pro"}, "Ann"),
        tags={"env": "test"},
        subjects=(SubjectRef("order", "A-17", "primary", "shop"), SubjectRef("order", "A-18")),
        metrics={"bytes_in": 15, "duration_ms": 1.5},
    )
    assert {
        "phase": "tool.after",
        "agentId": "a",
        "tool": {"name": "refund", "tags": ["payments"]},
        "actor": {"externalId": "u-1"},
        "tags": {"env": "test"},
        "subjects": [
            {"subjectType": "order", "value": "A-17", "role": "primary", "idSystem": "shop"},
            {"subjectType": "order", "value": "A-18"},
        ],
        "metrics": {"bytes_in": 15, "duration_ms": 1.5},
        "args": {"amount": 40.0},
        "result": ["ok"],
    } == body(wire.encode_evaluate(request))


def test_asking_with_the_least() -> None:
    """What there is not, is not sent; a result that is None is a result."""
    request = EvaluateRequest(phase="tool.before", run_id="r", agent_id="a", tool_name="t", args=Measured.of({}))
    least = {"phase": "tool.before", "agentId": "a", "tool": {"name": "t"}, "args": {}}
    assert least == body(wire.encode_evaluate(request))
    after = evolve(request, phase="tool.after", result=Measured.of(None))
    assert {**least, "phase": "tool.after", "result": None} == body(wire.encode_evaluate(after))
    assert {**least, "explain": True} == body(wire.encode_evaluate(evolve(request, explain=True)))


def test_arguments_are_put_in_as_they_were_encoded() -> None:
    """The very bytes that were counted are sent."""
    args = Measured('{"a": 1.0, "b" :[ ]}')
    request = EvaluateRequest(phase="tool.before", run_id="r", agent_id="a", tool_name="t", args=args)
    assert wire.encode_evaluate(request).endswith(f',"args":{args.text}}}')


@given(json_values, maybe(json_values), st.dictionaries(texts, texts, max_size=2), texts.filter(bool))
def test_any_question_is_json(args: object, result: object, tags: Mapping[str, str], name: str) -> None:
    """Whatever the parts hold, quotes and braces too, the body is one JSON object that gives them back."""
    request = EvaluateRequest(
        phase="tool.after",
        run_id="r",
        agent_id=name,
        tool_name=name,
        args=Measured.of(args),
        result=Measured.of(result),
        tags=tags,
    )
    sent = json.loads(wire.encode_evaluate(request))
    assert (args, result, name, tags or None) == (sent["args"], sent["result"], sent["tool"]["name"], sent.get("tags"))


def test_ending_a_run() -> None:
    """The body of POST /v1/runs/{runId}/end."""
    assert {"agentId": "a", "status": "interrupted"} == body(wire.encode_end("a", "interrupted"))


@given(st.lists(any_event, max_size=3), texts)
def test_a_batch_holds_its_events_as_they_were_encoded(several: list[AuditEvent], agent_id: str) -> None:
    """The body of POST /v1/runs/events."""
    encoded = [wire.encode_event(event) for event in several]
    sent = json.loads(wire.encode_batch(agent_id, encoded))
    assert {"agentId": agent_id, "events": [json.loads(event.text) for event in encoded]} == sent


def test_an_encoded_event_is_spliced_byte_by_byte() -> None:
    """A retry sends the same bytes as the first attempt."""
    event = EncodedEvent("r", "error", "2026", '{ "spaced" : 1 }')
    assert '{"agentId":"a","events":[{ "spaced" : 1 },{ "spaced" : 1 }]}' == wire.encode_batch("a", [event, event])


def test_lone_surrogates_do_not_reach_the_wire() -> None:
    """Text that UTF-8 cannot carry is repaired wherever a user's text goes."""
    request = EvaluateRequest(
        phase="tool.before",
        run_id="r",
        agent_id="a",
        tool_name="t\ud800",
        args=Measured.of("\ud800"),
        tags={"\ud800": "x"},
    )
    assert "\ud800" not in wire.encode_evaluate(request).encode().decode()
    data = events.RunEndedData(status="success", total_steps=1, summary="\ud800")
    wire.encode_event(events.RunEndedEvent(time_ns=0, run_id="\ud800", data=data)).text.encode()
