"""Each kind of condition, with each of its operators."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from handlebar.core.schema.agents import Actor
from handlebar.core.schema.rules import (
    AndCondition,
    CustomCondition,
    EnduserTagCondition,
    ExecutionTimeCondition,
    MaxCallsCondition,
    MetricRef,
    MetricWindowCondition,
    NotCondition,
    OrCondition,
    RequireSubjectCondition,
    RuleCondition,
    SequenceCondition,
    SignalBinding,
    SignalCondition,
    TimeGateCondition,
    TimeWindow,
    TimeZoneSource,
    ToolArgCondition,
    ToolNameCondition,
    ToolSelector,
    ToolTagCondition,
)
from handlebar.core.schema.subjects import SubjectRef
from handlebar.policy.answers import Answer, Missing
from handlebar.policy.conditions import compiled_condition
from handlebar.policy.facts import Call, CountQuery, MetricQuery, PastCall
from handlebar.policy.selecting import ToolMatch
from tests.support.policies import ALWAYS, MISSING, NEVER, call_of
from tests.support.policy_facts import StatedFacts


def answer(condition: RuleCondition, call: Call | None = None, **facts: Any) -> Answer:
    """Return what *condition* answers, given the stated facts."""
    return compiled_condition(condition)(call or call_of(), StatedFacts(**facts))


def by_name(*patterns: str) -> ToolSelector:
    """Return a selector of tools whose names match one of *patterns*."""
    return ToolSelector("toolName", patterns=patterns)


class TestToolName:
    @pytest.mark.parametrize(
        ("expected", "op", "value"),
        [
            (True, "eq", "REFUND_customer"),
            (False, "eq", "refund*"),
            (False, "neq", "Refund_Customer"),
            (True, "neq", "refund"),
            (True, "contains", "D_C"),
            (False, "contains", "dc"),
            (True, "startsWith", "Refund"),
            (False, "startsWith", "customer"),
            (True, "endsWith", "CUSTOMER"),
            (False, "endsWith", "refund"),
            (True, "glob", "*_cust*"),
            (True, "glob", "R*d_*r"),
            (False, "glob", "refund_custome?"),
            (False, "glob", "refund"),
            (True, "in", ("other", "Refund_*")),
            (True, "in", ("REFUND_CUSTOMER",)),
            (False, "in", ("refund", "customer")),
        ],
    )
    def test_operators(self, expected: bool, op: Any, value: Any) -> None:
        """Names compare as the operator says, however they are capitalised."""
        condition = ToolNameCondition(op=op, value=value)

        assert expected is answer(condition, call_of("Refund_CUSTOMER"))

    @pytest.mark.parametrize(
        ("expected", "pattern"),
        [
            (True, "*"),
            (True, "a*b*c"),
            (True, "a**c"),
            (True, "*a.b[c]*"),
            (True, "a.*[*"),
            (False, "a.b[c]d*c"),
            (False, "*b*b*"),
            (False, "a.b[c*[c]xc"),
            (False, "a.b[c]xc*c"),
        ],
    )
    def test_globs(self, expected: bool, pattern: str) -> None:
        """Only `*` is special in a glob, each star stands for any text, and no letter is used twice."""
        condition = ToolNameCondition(op="glob", value=pattern)

        assert expected is answer(condition, call_of("a.b[c]xc"))

    def test_glob_of_many_stars(self) -> None:
        """A glob of many stars does not take exponential time on a name that it nearly matches."""
        condition = ToolNameCondition(op="glob", value="*a" * 200 + "b")

        assert False is answer(condition, call_of("a" * 20_000))


class TestToolTag:
    @pytest.mark.parametrize(
        ("expected", "fields"),
        [
            (True, {"op": "has", "tag": "PAYMENTS"}),
            (False, {"op": "has", "tag": "read"}),
            (True, {"op": "anyOf", "tags": ("read", "Write")}),
            (False, {"op": "anyOf", "tags": ("read", "admin")}),
            (True, {"op": "allOf", "tags": ("write", "payments")}),
            (False, {"op": "allOf", "tags": ("write", "admin")}),
        ],
    )
    def test_operators(self, expected: bool, fields: Any) -> None:
        """The call's tags hold one, any or all, however they are capitalised."""
        assert expected is answer(ToolTagCondition(**fields), call_of(tool_tags=("Payments", "write")))


ARGS = {
    "to": "Anna@Example.com",
    "amount": 500,
    "rate": 0.5,
    "urgent": True,
    "note": None,
    "count": "7",
    "lines": [{"sku": "A-1"}, {"sku": "B-2", "tags": ["x", "deep"]}],
}


class TestToolArg:
    @pytest.mark.parametrize(
        ("expected", "op", "value"),
        [
            (True, "eq", "Anna@Example.com"),
            (False, "eq", "anna@example.com"),
            (True, "neq", "anna@example.com"),
            (False, "neq", "Anna@Example.com"),
            (True, "contains", "@Ex"),
            (False, "contains", "@ex"),
            (True, "startsWith", "Anna"),
            (False, "startsWith", "anna"),
            (True, "endsWith", ".com"),
            (False, "endsWith", ".COM"),
            (True, "in", ("x", "Anna@Example.com")),
            (False, "in", ("anna@example.com",)),
            (True, "regex", r"@\w+\.com$"),
            (True, "regex", r"na@"),
            (False, "regex", r"^na@"),
            (True, "regex", r"(?i)^ANNA"),
        ],
    )
    def test_strings(self, expected: bool, op: str, value: Any) -> None:
        """Texts compare as the operator says, and capitals matter."""
        condition = ToolArgCondition(type="string", op=op, path="to", value=value)

        assert expected is answer(condition, call_of(args=ARGS))

    @pytest.mark.parametrize(
        ("expected", "op", "value"),
        [
            (True, "eq", 500.0),
            (False, "eq", 501),
            (True, "neq", 501),
            (False, "neq", 500),
            (True, "gt", 499.5),
            (False, "gt", 500),
            (True, "gte", 500),
            (False, "gte", 500.5),
            (True, "lt", 501),
            (False, "lt", 500),
            (True, "lte", 500),
            (False, "lte", 499),
        ],
    )
    def test_numbers(self, expected: bool, op: str, value: float) -> None:
        """Numbers compare as the operator says."""
        condition = ToolArgCondition(type="number", op=op, path="amount", value=value)

        assert expected is answer(condition, call_of(args=ARGS))

    @pytest.mark.parametrize(("expected", "value"), [(True, True), (False, False)])
    def test_booleans(self, expected: bool, value: bool) -> None:
        """A boolean is the wanted one, or it is not."""
        condition = ToolArgCondition(type="boolean", op="eq", path="urgent", value=value)

        assert expected is answer(condition, call_of(args=ARGS))

    @pytest.mark.parametrize(
        ("type_", "op", "path", "value"),
        [
            ("string", "neq", "missing", "x"),
            ("string", "neq", "amount", "x"),
            ("string", "neq", "note", "x"),
            ("string", "neq", "lines", "x"),
            ("string", "regex", "amount", ".*"),
            ("number", "neq", "missing", 1),
            ("number", "neq", "urgent", 0),
            ("number", "neq", "count", 1),
            ("boolean", "eq", "missing", False),
            ("boolean", "eq", "amount", True),
            ("boolean", "eq", "note", False),
        ],
    )
    def test_missing_or_of_another_type(self, type_: Any, op: str, path: str, value: Any) -> None:
        """An argument that is missing or of another type meets no condition, not even `neq`."""
        condition = ToolArgCondition(type=type_, op=op, path=path, value=value)

        assert False is answer(condition, call_of(args=ARGS))

    @pytest.mark.parametrize(
        ("expected", "path"),
        [
            (True, "to"),
            (True, "note"),
            (True, "lines.0"),
            (True, "lines.1.tags.1"),
            (False, "lines.2"),
            (False, "lines.-1"),
            (False, "lines.\N{SUPERSCRIPT TWO}"),
            (False, "lines.\N{ARABIC-INDIC DIGIT ONE}"),
            (False, "lines." + "9" * 5000),
            (False, "lines.sku"),
            (False, "to.0"),
            (False, "amount.x"),
            (False, ""),
        ],
    )
    def test_paths(self, expected: bool, path: str) -> None:
        """A path goes through the names of objects and the positions of lists; a null is there."""
        call = call_of(args=ARGS)

        assert expected is answer(ToolArgCondition(op="exists", path=path), call)
        assert (not expected) is answer(ToolArgCondition(op="notExists", path=path), call)

    @pytest.mark.parametrize("args", [None, [], "text", 5, True])
    def test_arguments_of_any_shape(self, args: Any) -> None:
        """Arguments that are no object have nothing at a path."""
        assert True is answer(ToolArgCondition(op="notExists", path="to"), call_of(args=args))

    @pytest.mark.parametrize(
        ("expected", "op", "value"),
        [
            (True, "eq", "deep"),
            (True, "eq", "7"),
            (True, "regex", "^B-"),
            (True, "neq", "A-1"),
            (False, "eq", "sku"),
            (False, "eq", "500"),
        ],
    )
    def test_every_text(self, expected: bool, op: str, value: str) -> None:
        """Without a path every text at any depth is looked at, but no name and no number."""
        condition = ToolArgCondition(type="string", op=op, value=value)

        assert expected is answer(condition, call_of(args=ARGS))

    def test_text_that_utf8_cannot_carry(self) -> None:
        """A lone surrogate hides nothing from a regex and breaks nothing."""
        condition = ToolArgCondition(type="string", op="regex", value="se.?cret")

        assert True is answer(condition, call_of(args=["\ud800 secret"]))

    def test_very_deep_arguments(self) -> None:
        """Arguments nested deeper than Python recurses are still scanned."""
        args: Any = "secret"
        for _ in range(5000):
            args = [args]

        assert True is answer(ToolArgCondition(type="string", op="eq", value="secret"), call_of(args=args))


class TestEnduserTag:
    @pytest.mark.parametrize(
        ("expected", "fields"),
        [
            (True, {"op": "has", "tag": "tier"}),
            (False, {"op": "has", "tag": "Tier"}),
            (False, {"op": "has", "tag": "zero"}),
            (False, {"op": "has", "tag": "untrue"}),
            (False, {"op": "has", "tag": "empty"}),
            (True, {"op": "hasValue", "tag": "tier", "value": "Gold"}),
            (False, {"op": "hasValue", "tag": "tier", "value": "gold"}),
            (True, {"op": "hasValue", "tag": "empty", "value": ""}),
            (False, {"op": "hasValue", "tag": "other", "value": "Gold"}),
            (True, {"op": "hasValueAny", "tag": "tier", "values": ("Silver", "Gold")}),
            (False, {"op": "hasValueAny", "tag": "tier", "values": ("Silver", "gold")}),
        ],
    )
    def test_operators(self, expected: bool, fields: Any) -> None:
        """The actor's metadata have the tag, with such a value; capitals matter."""
        metadata = {"tier": "Gold", "zero": "0", "untrue": "false", "empty": ""}
        call = call_of(actor=Actor("u", metadata=metadata))

        assert expected is answer(EnduserTagCondition(**fields), call)

    @pytest.mark.parametrize("actor", [None, Actor("u")])
    def test_nobody(self, actor: Actor | None) -> None:
        """No actor, and an actor without metadata, have no tag."""
        assert False is answer(EnduserTagCondition(op="has", tag="tier"), call_of(actor=actor))


class TestExecutionTime:
    @pytest.mark.parametrize(
        ("expected", "op", "ms"),
        [
            (True, "gt", 99),
            (False, "gt", 100),
            (True, "gte", 100),
            (False, "gte", 101),
            (True, "lt", 101),
            (False, "lt", 100),
            (True, "lte", 100),
            (False, "lte", 99),
            (True, "eq", 100),
            (False, "eq", 99),
            (True, "neq", 99),
            (False, "neq", 100),
        ],
    )
    def test_operators(self, expected: bool, op: Any, ms: float) -> None:
        """The time of the tool, and that of all the run's tools, compare as the operator says."""
        call = call_of(phase="tool.after", metrics={"duration_ms": 100.0})

        assert expected is answer(ExecutionTimeCondition(scope="tool", op=op, ms=ms), call)
        assert expected is answer(ExecutionTimeCondition(scope="total", op=op, ms=ms), call, run_time_ms=100.0)

    def test_unknown(self) -> None:
        """A duration that was not reported meets nothing; a total that cannot be had is missing."""
        call = call_of(phase="tool.after")

        assert False is answer(ExecutionTimeCondition(scope="tool", op="gte", ms=0), call)
        assert Missing() == answer(ExecutionTimeCondition(scope="total", op="gte", ms=0), call)

    @pytest.mark.parametrize("scope", ["tool", "total"])
    def test_before_the_call(self, scope: Any) -> None:
        """Before a call there is no time to compare."""
        condition = ExecutionTimeCondition(scope=scope, op="gte", ms=0)

        assert False is answer(condition, call_of(metrics={"duration_ms": 1.0}), run_time_ms=1.0)


class TestSequence:
    PAST = (PastCall("Verify_Identity", ("kyc",)), PastCall("search", ("read", "Web")))

    @pytest.mark.parametrize(
        ("broken", "needed", "barred"),
        [
            (False, (by_name("verify_*"),), None),
            (True, (by_name("approve"),), None),
            (True, (by_name("verify_*"), by_name("approve")), None),
            (False, (by_name("approve", "verify_identity"),), None),
            (True, None, (by_name("search"),)),
            (False, None, (by_name("delete"),)),
            (True, None, (by_name("delete"), by_name("s*"))),
            (False, (ToolSelector("toolTag", tags=("KYC", "none")),), None),
            (True, (ToolSelector("toolTag", tags=("read", "kyc"), op="allOf"),), None),
            (True, None, (ToolSelector("toolTag", tags=("READ", "web"), op="allOf"),)),
            (True, (by_name("verify_*"),), (by_name("search"),)),
            (False, (by_name("verify_*"),), (by_name("delete"),)),
        ],
    )
    def test_entries(self, broken: bool, needed: Any, barred: Any) -> None:
        """It holds where some needed entry was never called, or some barred one was."""
        condition = SequenceCondition(must_have_called=needed, must_not_have_called=barred)

        assert broken is answer(condition, past=self.PAST)

    def test_unknown_past(self) -> None:
        """A past that cannot be had is missing, not empty."""
        assert Missing() == answer(SequenceCondition(must_have_called=(by_name("a"),)), past=None)


class TestMaxCalls:
    @pytest.mark.parametrize(("expected", "counted"), [(False, 0), (False, 2), (True, 3), (True, 4)])
    def test_limit(self, expected: bool, counted: int) -> None:
        """It holds once *max* calls have been counted."""
        condition = MaxCallsCondition(selector=by_name("r*"), max=3)

        assert expected is answer(condition, counts={"run": counted})

    @pytest.mark.parametrize(
        ("scope", "window", "per"),
        [
            ("run", None, None),
            ("agent", 60, None),
            ("agent", None, "agent"),
            ("agent", 60, "agent"),
            ("agent_user", None, "agent_user"),
            ("agent_user", 60, "agent_user"),
        ],
    )
    def test_question(self, scope: str, window: float | None, per: Any) -> None:
        """Scope and window are as the rules' table says, and counting may stop at the limit."""
        selector = by_name("r*")
        condition = MaxCallsCondition(
            selector=selector, max=1, window_seconds=window, per=per, tag_filter={"env": "prod"}
        )
        facts = StatedFacts(counts={scope: 1})

        assert True is compiled_condition(condition)(call_of(), facts)
        query = CountQuery(
            scope=scope, calls=ToolMatch(selector), window_seconds=window, run_tags={"env": "prod"}, enough=1
        )
        assert [("count_calls", query)] == facts.asked

    def test_unknown_count(self) -> None:
        """A count that cannot be had is missing."""
        assert Missing() == answer(MaxCallsCondition(selector=by_name("*"), max=1))


class TestMetricWindow:
    @staticmethod
    def condition(**fields: Any) -> MetricWindowCondition:
        """Return a limit on the cost of the last minute, unless *fields* say otherwise."""
        made = {"scope": "agent", "metric": MetricRef(kind="custom", key="cost"), "aggregate": "sum", "op": "gt"}
        return MetricWindowCondition(**{**made, "window_seconds": 60, "value": 10, **fields})

    @pytest.mark.parametrize(
        ("expected", "op", "value"),
        [
            (True, "gt", 9),
            (False, "gt", 10),
            (True, "gte", 10),
            (False, "gte", 11),
            (True, "lt", 11),
            (False, "lt", 10),
            (True, "lte", 10),
            (False, "lte", 9),
            (True, "eq", 10),
            (False, "eq", 9),
            (True, "neq", 9),
            (False, "neq", 10),
        ],
    )
    def test_operators(self, expected: bool, op: str, value: float) -> None:
        """The aggregate compares as the operator says."""
        assert expected is answer(self.condition(op=op, value=value), metrics={"cost": 10.0})

    def test_question(self) -> None:
        """Scope, key, aggregate and window are asked for as they are written."""
        facts = StatedFacts(metrics={"cost": 1.0})
        compiled_condition(self.condition(aggregate="avg"))(call_of(), facts)

        query = MetricQuery(scope="agent", key="cost", aggregate="avg", window_seconds=60)
        assert [("metric", query)] == facts.asked

    @pytest.mark.parametrize("on_missing", [None, "allow", "hitl", "block"])
    def test_no_data(self, on_missing: Any) -> None:
        """A metric without data is missing, with what the condition says of that."""
        assert Missing(on_missing) == answer(self.condition(on_missing=on_missing))


def at(text: str) -> datetime:
    """Return a time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


class TestTimeGate:
    """1 July 2026 is a Wednesday."""

    UTC = TimeZoneSource(source="static", tz="UTC")

    @classmethod
    def gate(cls, *windows: tuple[str, str, str], zone: TimeZoneSource = UTC) -> TimeGateCondition:
        """Return a gate whose windows are written as days, start and end."""
        made = tuple(TimeWindow(days=tuple(days.split()), start=start, end=end) for days, start, end in windows)
        return TimeGateCondition(timezone=zone, windows=made)

    @pytest.mark.parametrize(
        ("expected", "now"),
        [
            (False, "2026-07-01T08:59:59"),
            (True, "2026-07-01T09:00:00"),
            (True, "2026-07-01T17:30:59"),
            (False, "2026-07-01T17:31:00"),
            (False, "2026-07-02T12:00:00"),
        ],
    )
    def test_bounds(self, expected: bool, now: str) -> None:
        """Both bounds belong to the window, the last minute to its end."""
        assert expected is answer(self.gate(("tue wed", "09:00", "17:30")), call_of(now=at(now)))

    @pytest.mark.parametrize(
        ("expected", "now"),
        [
            (False, "2026-07-01T21:59:00"),
            (True, "2026-07-01T22:00:00"),
            (True, "2026-07-02T00:00:00"),
            (True, "2026-07-02T06:00:30"),
            (False, "2026-07-02T06:01:00"),
            (False, "2026-07-02T23:00:00"),
            (False, "2026-07-01T05:00:00"),
        ],
    )
    def test_past_midnight(self, expected: bool, now: str) -> None:
        """A window past midnight belongs to the day that it starts on."""
        assert expected is answer(self.gate(("wed", "22:00", "06:00")), call_of(now=at(now)))

    def test_week_is_round(self) -> None:
        """Sunday night runs into Monday."""
        assert True is answer(self.gate(("sun", "22:00", "06:00")), call_of(now=at("2026-07-06T01:00:00")))

    def test_one_minute(self) -> None:
        """A window whose end is its start is one minute long."""
        gate = self.gate(("wed", "12:00", "12:00"))

        assert True is answer(gate, call_of(now=at("2026-07-01T12:00:59")))
        assert False is answer(gate, call_of(now=at("2026-07-01T12:01:00")))

    def test_several_windows(self) -> None:
        """One window is enough."""
        gate = self.gate(("mon", "00:00", "23:59"), ("wed", "12:00", "13:00"))

        assert True is answer(gate, call_of())

    def test_offset_of_now(self) -> None:
        """The same moment is the same, whatever zone it is told in."""
        now = at("2026-07-01T23:30:00").astimezone(timezone(timedelta(hours=9)))

        assert True is answer(self.gate(("wed", "23:00", "23:59")), call_of(now=now))

    @pytest.mark.parametrize(
        ("expected", "zone", "metadata"),
        [
            (True, TimeZoneSource(source="static", tz="Asia/Tokyo"), None),
            (False, TimeZoneSource(source="static", tz="Europe/Berlin"), None),
            (False, TimeZoneSource(source="static", tz="Mars/Olympus"), None),
            (False, TimeZoneSource(source="static", tz="../UTC"), None),
            (False, TimeZoneSource(source="static", tz="Europe"), None),
            (True, TimeZoneSource(source="enduserTag", tag="tz"), {"tz": "Asia/Tokyo"}),
            (False, TimeZoneSource(source="enduserTag", tag="tz"), {"tz": "Mars/Olympus"}),
            (False, TimeZoneSource(source="enduserTag", tag="tz"), {}),
            (False, TimeZoneSource(source="enduserTag", tag="tz", tz="Asia/Tokyo"), None),
            (True, TimeZoneSource(source="enduserTag", tag="tz", tz="Asia/Tokyo", fallback="org"), None),
            (False, TimeZoneSource(source="enduserTag", tag="tz", fallback="org"), None),
        ],
    )
    def test_zones(self, expected: bool, zone: TimeZoneSource, metadata: Any) -> None:
        """The zone is the stated one, or the actor's, or the fallback; an unknown one opens no window."""
        actor = None if metadata is None else Actor("u", metadata=metadata)

        assert expected is answer(self.gate(("wed", "21:00", "21:00"), zone=zone), call_of(actor=actor))

    def test_fallback_is_utc(self) -> None:
        """A fallback without a zone is UTC."""
        zone = TimeZoneSource(source="enduserTag", tag="tz", fallback="org")

        assert True is answer(self.gate(("wed", "12:00", "12:00"), zone=zone))


class TestRequireSubject:
    @pytest.mark.parametrize(
        ("expected", "fields"),
        [
            (True, {"subject_type": "patient"}),
            (False, {"subject_type": "order"}),
            (True, {"subject_type": "patient", "id_system": "nhs"}),
            (False, {"subject_type": "patient", "id_system": "other"}),
            (False, {"subject_type": "account", "id_system": "nhs"}),
        ],
    )
    def test_subjects(self, expected: bool, fields: Any) -> None:
        """It holds where a subject of the type, and of the system if one is named, is in the call."""
        subjects = (SubjectRef("account", "A"), SubjectRef("patient", "P", id_system="nhs"))

        assert expected is answer(RequireSubjectCondition(**fields), call_of(subjects=subjects))


class TestSignal:
    @pytest.mark.parametrize(
        ("expected", "op", "value", "signal"),
        [
            (True, "eq", "high", "high"),
            (False, "eq", "high", "High"),
            (True, "eq", 1, 1.0),
            (False, "eq", 1, True),
            (False, "eq", "1", 1),
            (True, "neq", "high", "low"),
            (True, "neq", 1, True),
            (False, "neq", 1, 1),
            (True, "gt", 0.5, 0.6),
            (False, "gt", 0.5, 0.5),
            (True, "gte", 0.5, 0.5),
            (False, "gte", 0.5, 0.4),
            (True, "lt", 0.5, 0.4),
            (False, "lt", 0.5, 0.5),
            (True, "lte", 0.5, 0.5),
            (False, "lte", 0.5, 0.6),
            (True, "gt", "2026-01-01", "2026-02-01"),
            (False, "gt", 0, "1"),
            (False, "lte", 0, "1"),
            (False, "gt", 0, True),
            (False, "lt", "x", ["a"]),
            (True, "in", ["a", "b"], "b"),
            (True, "in", ("a", 1), 1),
            (False, "in", ["a", 1], True),
            (False, "in", ["a"], "b"),
            (True, "nin", ["a"], "b"),
            (False, "nin", ("a", "b"), "b"),
        ],
    )
    def test_operators(self, expected: bool, op: Any, value: Any, signal: Any) -> None:
        """Values compare as JSON has them: `true` is not 1, and only like values have an order."""
        assert expected is answer(SignalCondition(key="risk", op=op, value=value), signals={"risk": signal})

    CALL = call_of(
        tool_tags=("Payments",),
        args={"order": {"id": 7, "note": None}},
        actor=Actor("user-1", metadata={"tier": "gold"}),
        subjects=(
            SubjectRef("patient", "P-1"),
            SubjectRef("patient", "P-2", role="primary", id_system="nhs"),
        ),
    )

    @pytest.mark.parametrize(
        ("expected", "fields"),
        [
            ("user-1", {"from_": "enduserId"}),
            ("gold", {"from_": "enduserTag", "tag": "tier"}),
            ("refund", {"from_": "toolName"}),
            (True, {"from_": "toolTag", "tag": "payments"}),
            (False, {"from_": "toolTag", "tag": "read"}),
            (7, {"from_": "toolArg", "path": "order.id"}),
            (None, {"from_": "toolArg", "path": "order.note"}),
            ("P-1", {"from_": "subject", "subject_type": "patient"}),
            ("P-2", {"from_": "subject", "subject_type": "patient", "role": "primary"}),
            ("nhs", {"from_": "subject", "subject_type": "patient", "role": "primary", "field": "idSystem"}),
            ({"a": [1]}, {"from_": "const", "value": {"a": [1]}}),
            (None, {"from_": "const"}),
        ],
    )
    def test_bindings(self, expected: Any, fields: Any) -> None:
        """Each binding takes from the call what it names."""
        facts = StatedFacts(signals={"risk": 1})
        condition = SignalCondition(key="risk", args={"it": SignalBinding(**fields)}, op="eq", value=1)

        assert True is compiled_condition(condition)(self.CALL, facts)
        assert [("signal", "risk", {"it": expected})] == facts.asked

    @pytest.mark.parametrize(
        ("call", "fields"),
        [
            (call_of(), {"from_": "enduserId"}),
            (call_of(), {"from_": "enduserTag", "tag": "tier"}),
            (call_of(actor=Actor("u")), {"from_": "enduserTag", "tag": "tier"}),
            (CALL, {"from_": "enduserTag", "tag": "other"}),
            (CALL, {"from_": "toolArg", "path": "order.total"}),
            (CALL, {"from_": "subject", "subject_type": "order"}),
            (CALL, {"from_": "subject", "subject_type": "patient", "role": "other"}),
            (CALL, {"from_": "subject", "subject_type": "patient", "field": "idSystem"}),
        ],
    )
    def test_what_cannot_be_bound(self, call: Call, fields: Any) -> None:
        """An argument that the call does not have makes the signal missing, and nobody is asked."""
        facts = StatedFacts(signals={"risk": 1})
        binding = SignalBinding(**fields)
        condition = SignalCondition(key="risk", args={"it": binding}, op="eq", value=1, on_missing="hitl")

        assert Missing("hitl") == compiled_condition(condition)(call, facts)
        assert [] == facts.asked

    @pytest.mark.parametrize("on_missing", [None, "allow", "hitl", "block"])
    def test_unknown_signal(self, on_missing: Any) -> None:
        """A signal that nobody provides is missing, with what the condition says of that."""
        condition = SignalCondition(key="other", op="eq", value=1, on_missing=on_missing)

        assert Missing(on_missing) == answer(condition)


class TestCustom:
    @pytest.mark.parametrize("held", [True, False])
    def test_answer(self, held: bool) -> None:
        """It is what the host application's function says, given the rule's arguments."""
        facts = StatedFacts(customs={"is_safe": held})
        condition = CustomCondition(name="is_safe", args={"level": 2})

        assert held is compiled_condition(condition)(call_of(), facts)
        assert [("custom", "is_safe", {"level": 2})] == facts.asked

    def test_not_registered(self) -> None:
        """A function that nobody registered is missing."""
        assert Missing() == answer(CustomCondition(name="is_safe"))


def missing(on_missing: Any) -> SignalCondition:
    """Return a condition that cannot be answered."""
    return SignalCondition(key="nobody's", op="eq", value=1, on_missing=on_missing)


class TestAndOrNot:
    @pytest.mark.parametrize(
        ("expected", "parts"),
        [
            (True, ()),
            (True, (ALWAYS, ALWAYS)),
            (False, (ALWAYS, NEVER)),
            (False, (MISSING, NEVER)),
            (False, (NEVER, MISSING)),
            (Missing(), (ALWAYS, MISSING, ALWAYS)),
            (Missing("allow"), (missing("allow"), missing("hitl"))),
            (Missing("hitl"), (OrCondition(any=(missing("hitl"), NEVER)), missing("allow"))),
        ],
    )
    def test_and(self, expected: Answer, parts: Any) -> None:
        """One false part decides; otherwise the first missing one leaves it open."""
        assert expected == answer(AndCondition(all=parts))

    @pytest.mark.parametrize(
        ("expected", "parts"),
        [
            (False, ()),
            (False, (NEVER, NEVER)),
            (True, (NEVER, ALWAYS)),
            (True, (MISSING, ALWAYS)),
            (True, (ALWAYS, MISSING)),
            (Missing(), (NEVER, MISSING, NEVER)),
            (Missing("allow"), (missing("allow"), missing("hitl"))),
            (Missing("hitl"), (AndCondition(all=(missing("allow"), NEVER)), missing("hitl"))),
        ],
    )
    def test_or(self, expected: Answer, parts: Any) -> None:
        """One true part decides; otherwise the first missing one leaves it open."""
        assert expected == answer(OrCondition(any=parts))

    @pytest.mark.parametrize(("expected", "part"), [(False, ALWAYS), (True, NEVER), (Missing("hitl"), missing("hitl"))])
    def test_not(self, expected: Answer, part: Any) -> None:
        """True and false change places; what is missing stays missing."""
        assert expected == answer(NotCondition(not_=part))

    @pytest.mark.parametrize(
        "condition",
        [AndCondition(all=(NEVER, MISSING)), OrCondition(any=(ALWAYS, MISSING))],
        ids=["and", "or"],
    )
    def test_short_circuit(self, condition: RuleCondition) -> None:
        """Once the answer is sure, no more facts are asked."""
        facts = StatedFacts()
        compiled_condition(condition)(call_of(), facts)

        assert [] == facts.asked


class TestMissing:
    def test_only_unavailable_facts_are_missing(self) -> None:
        """Any other fault of the facts goes to whoever asked the engine."""

        class Broken(StatedFacts):
            def custom(self, name: str, args: Any, call: Call) -> bool:
                raise LookupError(name)

        with pytest.raises(LookupError, match="not registered"):
            compiled_condition(MISSING)(call_of(), Broken())


def test_regex_is_checked_when_compiled() -> None:
    """A regex that RE2 does not take is refused before there is a call."""
    with pytest.raises(ValueError, match="invalid perl operator"):
        compiled_condition(ToolArgCondition(type="string", op="regex", value="(?=x)"))
