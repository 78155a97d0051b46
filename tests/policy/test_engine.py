"""From rules to an outcome: selection, order, severity, shadow, missing values, and what is asked."""

from __future__ import annotations

from typing import Any

import pytest

from handlebar.core.schema.governance import RuleEval, ShadowEffect
from handlebar.core.schema.rules import (
    AgentSelector,
    AndCondition,
    CustomCondition,
    ExecutionTimeCondition,
    MaxCallsCondition,
    MetricRef,
    MetricWindowCondition,
    NotCondition,
    OrCondition,
    RuleCondition,
    SequenceCondition,
    SignalBinding,
    SignalCondition,
    ToolArgCondition,
    ToolPattern,
    ToolSelector,
)
from handlebar.policy import indexing
from handlebar.policy.engine import Outcome, compile_policies
from tests.support.policies import ALWAYS, MISSING, NEVER, call_of, engine_of, policy_of, rule_of
from tests.support.policy_facts import StatedFacts

NO_FACTS = StatedFacts()
REFUNDS = ToolSelector("toolName", patterns=("refund*",))
LIMIT = MaxCallsCondition(selector=REFUNDS, max=1)
ORDER = SequenceCondition(
    must_have_called=(ToolSelector("toolName", patterns=("verify",)),),
    must_not_have_called=(ToolSelector("toolTag", tags=("write", "web"), op="allOf"),),
)
COST = MetricWindowCondition(
    scope="run", metric=MetricRef(kind="custom", key="cost"), aggregate="sum", op="gt", value=1
)
TOTAL = ExecutionTimeCondition(scope="total", op="gt", ms=1)
RISK = SignalCondition(key="risk", op="eq", value="high")


def evaluated_ids(outcome: Outcome) -> list[str]:
    """Return the ids of the rules that took part, in order."""
    return [each.rule_id for each in outcome.evaluated]


class TestAgentSelector:
    @pytest.mark.parametrize(
        ("expected", "fields"),
        [
            (1, {}),
            (1, {"any_of_slugs": ("other", "DESK")}),
            (0, {"any_of_slugs": ("other", "desk*")}),
            (1, {"any_of_tags": ("none", "prod")}),
            (0, {"any_of_tags": ("none",)}),
            (1, {"all_of_tags": ("PROD", "eu")}),
            (0, {"all_of_tags": ("prod", "us")}),
            (1, {"any_of_slugs": ("desk",), "any_of_tags": ("eu",), "all_of_tags": ("eu",)}),
            (0, {"any_of_slugs": ("desk",), "any_of_tags": ("us",)}),
        ],
    )
    def test_parts(self, expected: int, fields: Any) -> None:
        """All stated parts have to select the agent, however it is capitalised; with none, all agents are meant."""
        policy = policy_of(rule_of(), agent_selector=AgentSelector(**fields))
        engine = compile_policies([policy], agent_slug="Desk", agent_tags=("Prod", "EU"))

        assert expected == engine.rule_count

    def test_what_is_disabled(self) -> None:
        """Disabled policies and disabled rules do not exist."""
        disabled = policy_of(rule_of("a"), enabled=False)
        engine = compile_policies([disabled, policy_of(rule_of("b", enabled=False), rule_of("c"))], agent_slug="desk")

        assert 1 == engine.rule_count
        assert ["c"] == evaluated_ids(engine.evaluate(call_of(), NO_FACTS))


class TestRuleSelector:
    @pytest.mark.parametrize(
        ("expected", "pattern"),
        [
            (True, {}),
            (True, {"name": ("REFUND",)}),
            (True, {"name": ("other", "ref*D")}),
            (False, {"name": ("refunds", "*refund_")}),
            (True, {"tags_any": ("none", "PAYMENTS")}),
            (False, {"tags_any": ("none",)}),
            (True, {"tags_all": ("payments", "write")}),
            (False, {"tags_all": ("payments", "none")}),
            (False, {"name": ("refund",), "tags_any": ("none",)}),
            (False, {"name": ("other",), "tags_all": ("write",)}),
            (True, {"name": ("refund",), "tags_any": ("write",), "tags_all": ("write",)}),
        ],
    )
    def test_parts(self, expected: bool, pattern: Any) -> None:
        """All stated parts have to select the call, however it is capitalised."""
        engine = engine_of(rule_of(tool=ToolPattern(**pattern)))
        outcome = engine.evaluate(call_of("Refund", tool_tags=("Payments", "WRITE")), NO_FACTS)

        assert expected is bool(outcome.evaluated)

    def test_phase(self) -> None:
        """Rules of the other phase take no part."""
        engine = engine_of(rule_of("b"), rule_of("a", phase="tool.after"))

        assert ["b"] == evaluated_ids(engine.evaluate(call_of(), NO_FACTS))
        assert ["a"] == evaluated_ids(engine.evaluate(call_of(phase="tool.after"), NO_FACTS))


class TestSeverity:
    @pytest.mark.parametrize(
        ("expected", "effects"),
        [
            (("allow", "r0"), ("allow",)),
            (("hitl", "r1"), ("allow", "hitl")),
            (("block", "r2"), ("allow", "hitl", "block")),
            (("block", "r0"), ("block", "hitl", "allow")),
            (("hitl", "r1"), ("allow", "hitl", "allow", "hitl")),
        ],
    )
    def test_most_severe_wins(self, expected: Any, effects: Any) -> None:
        """Block outranks hitl, hitl outranks allow; the first rule of the winning effect decides."""
        rules = [rule_of(f"r{place}", effect=effect) for place, effect in enumerate(effects)]
        outcome = engine_of(*reversed(rules)).evaluate(call_of(), NO_FACTS)

        assert outcome.final_rule is not None
        assert expected == (outcome.effect, outcome.final_rule.id)

    def test_order(self) -> None:
        """Higher priorities come first, ties go by id, whatever order or policy they were written in."""
        one = policy_of(rule_of("b"), rule_of("z", priority=5), rule_of("d", priority=-1))
        two = policy_of(rule_of("a"), rule_of("c", priority=5), id="q")
        engine = compile_policies([one, two], agent_slug="desk")
        outcome = engine.evaluate(call_of(), NO_FACTS)

        assert ["c", "z", "a", "b", "d"] == evaluated_ids(outcome)
        assert outcome.final_rule is not None
        assert "c" == outcome.final_rule.id

    def test_order_of_all_selectors(self) -> None:
        """The order is the same whether rules name the tool, match its name or look at its tags."""
        patterns = (("*",), ("refund",), None, ("refund", "other"), ("r*",), ("REFUND",))
        rules = [rule_of(f"r{place}", tool=ToolPattern(name=name)) for place, name in enumerate(patterns)]

        assert [rule.id for rule in rules] == evaluated_ids(engine_of(*rules).evaluate(call_of(), NO_FACTS))

    def test_nothing_met(self) -> None:
        """A call that no selector meets is allowed by no rule."""
        engine = engine_of(rule_of(tool=ToolPattern(name=("other",))))

        assert Outcome() == engine.evaluate(call_of(), NO_FACTS)

    def test_nothing_matched(self) -> None:
        """A rule whose condition does not hold is evaluated, and decides nothing."""
        expected = Outcome(evaluated=(RuleEval("r", enabled=True, matched=False, violated=False),))

        assert expected == engine_of(rule_of(condition=NEVER)).evaluate(call_of(), NO_FACTS)

    @pytest.mark.parametrize(("violated", "effect"), [(False, "allow"), (True, "hitl"), (True, "block")])
    def test_violated(self, violated: bool, effect: Any) -> None:
        """A rule that matched is violated where its effect is not to allow."""
        outcome = engine_of(rule_of(effect=effect)).evaluate(call_of(), NO_FACTS)

        assert (RuleEval("r", enabled=True, matched=True, violated=violated),) == outcome.evaluated


class TestShadow:
    @pytest.mark.parametrize(
        ("expected", "policy_mode", "rule_mode"),
        [
            ("block", "enforce", None),
            ("block", "enforce", "enforce"),
            ("allow", "enforce", "shadow"),
            ("allow", "shadow", None),
            ("allow", "shadow", "shadow"),
            ("allow", "shadow", "enforce"),
        ],
    )
    def test_modes(self, expected: str, policy_mode: Any, rule_mode: Any) -> None:
        """A rule is enforced only where neither it nor its policy is in shadow mode."""
        outcome = engine_of(rule_of(mode=rule_mode), mode=policy_mode).evaluate(call_of(), NO_FACTS)

        assert expected == outcome.effect
        assert (expected == "allow") is bool(outcome.shadow)
        assert (RuleEval("r", enabled=True, matched=True, violated=True),) == outcome.evaluated

    def test_beside_enforced_rules(self) -> None:
        """What is in shadow changes neither the effect nor the final rule."""
        shadow = rule_of("a", priority=9, mode="shadow")
        outcome = engine_of(shadow, rule_of("b", effect="hitl")).evaluate(call_of(), NO_FACTS)

        assert outcome.final_rule is not None
        assert ("hitl", "b") == (outcome.effect, outcome.final_rule.id)
        assert ["a", "b"] == evaluated_ids(outcome)

    @pytest.mark.parametrize(
        ("expected", "fields"),
        [
            ((), {"effect": "allow"}),
            ((), {"condition": NEVER}),
            ((ShadowEffect("r", "block", 'Would have been blocked by rule "rule r"'),), {}),
            ((ShadowEffect("r", "block", "Because"),), {"reason": "Because"}),
            (
                (ShadowEffect("r", "hitl", 'Would have waited for approval under rule "rule r"'),),
                {"effect": "hitl"},
            ),
            (
                (ShadowEffect("r", "block", 'Would have been blocked by rule "rule r"'),),
                {"effect": "allow", "reason": "Because", "condition": MISSING},
            ),
        ],
    )
    def test_what_would_have_been(self, expected: Any, fields: Any) -> None:
        """What would have been blocked or asked is told, with the reason that was written for that."""
        outcome = engine_of(rule_of(mode="shadow", **fields)).evaluate(call_of(), NO_FACTS)

        assert expected == outcome.shadow
        assert None is outcome.final_rule


class TestOnMissing:
    @pytest.mark.parametrize(
        ("expected", "condition", "rule", "policy"),
        [
            ("block", None, None, None),
            ("hitl", None, None, "hitl"),
            ("allow", None, "allow", "hitl"),
            ("hitl", "hitl", "allow", "block"),
            ("allow", "allow", None, None),
        ],
    )
    def test_chain(self, expected: str, condition: Any, rule: Any, policy: Any) -> None:
        """The condition says first what a missing value means, then the rule, then the policy; else it blocks."""
        missing = SignalCondition(key="risk", op="eq", value=1, on_missing=condition)
        engine = engine_of(rule_of(condition=missing, effect="hitl", on_missing=rule), on_missing_default=policy)
        outcome = engine.evaluate(call_of(), NO_FACTS)

        assert expected == outcome.effect
        assert outcome.final_rule is not None
        assert (RuleEval("r", enabled=True, matched=True, violated=expected != "allow"),) == outcome.evaluated

    @pytest.mark.parametrize(
        ("expected", "condition"),
        [
            ("hitl", AndCondition(all=(ALWAYS, MISSING))),
            ("hitl", NotCondition(not_=MISSING)),
            ("allow", AndCondition(all=(MISSING, NEVER))),
            ("block", OrCondition(any=(MISSING, ALWAYS))),
        ],
    )
    def test_trees(self, expected: str, condition: RuleCondition) -> None:
        """A missing value decides only where the rest of the tree leaves it open."""
        outcome = engine_of(rule_of(condition=condition, on_missing="hitl")).evaluate(call_of(), NO_FACTS)

        assert expected == outcome.effect

    def test_other_faults(self) -> None:
        """What is no missing value is raised."""

        class Broken(StatedFacts):
            def custom(self, name: str, args: Any, call: Any) -> bool:
                raise LookupError(name)

        with pytest.raises(LookupError):
            engine_of(rule_of(condition=MISSING, on_missing="allow")).evaluate(call_of(), Broken())


class TestAsking:
    def test_each_question_once(self) -> None:
        """Two rules that ask the same thing get the same answer, and the facts are asked once, missing or not."""
        conditions: tuple[RuleCondition, ...] = (ORDER, LIMIT, COST, TOTAL, RISK, MISSING)
        rules = [
            rule_of(f"r{number}{again}", condition=each, phase="tool.after")
            for number, each in enumerate(conditions)
            for again in "ab"
        ]
        facts = StatedFacts(past=None, counts={"run": 1}, run_time_ms=5.0)
        outcome = engine_of(*rules).evaluate(call_of(phase="tool.after"), facts)

        kinds = ["past_calls", "count_calls", "metric", "run_tool_time_ms", "signal", "custom"]
        assert kinds == [question[0] for question in facts.asked]
        assert all(each.matched for each in outcome.evaluated)

    def test_different_questions(self) -> None:
        """Questions that differ in a single thing are different."""
        other = ToolSelector("toolName", patterns=("other",))
        asked = SignalBinding(from_="const", value=1)
        conditions: tuple[RuleCondition, ...] = (
            LIMIT,
            MaxCallsCondition(selector=other, max=1),
            MaxCallsCondition(selector=REFUNDS, max=1, tag_filter={"env": "prod"}),
            MaxCallsCondition(selector=REFUNDS, max=1, window_seconds=5),
            MaxCallsCondition(selector=REFUNDS, max=1, window_seconds=6),
            MaxCallsCondition(selector=REFUNDS, max=1, window_seconds=6, per="agent_user"),
            MaxCallsCondition(selector=REFUNDS, max=2, window_seconds=6),
            RISK,
            SignalCondition(key="risk", args={"it": asked}, op="eq", value="high"),
            CustomCondition(name="risk"),
            CustomCondition(name="risk", args={"it": 1}),
            CustomCondition(name="risk", args={"it": True}),
        )
        facts = StatedFacts()
        rules = [rule_of(f"r{number}", condition=each) for number, each in enumerate(conditions)]
        engine_of(*rules).evaluate(call_of(), facts)

        assert len(conditions) == len(facts.asked)

    def test_rules_for_other_tools(self) -> None:
        """A rule whose selector does not meet the call asks nothing."""
        facts = StatedFacts()
        engine_of(rule_of(condition=LIMIT, tool=ToolPattern(name=("other",)))).evaluate(call_of(), facts)

        assert [] == facts.asked


class TestNeedsPast:
    @pytest.mark.parametrize(
        ("expected", "condition"),
        [
            (True, ORDER),
            (True, LIMIT),
            (True, COST),
            (True, TOTAL),
            (True, NotCondition(not_=OrCondition(any=(ALWAYS, AndCondition(all=(LIMIT,)))))),
            (False, RISK),
            (False, MISSING),
            (False, ALWAYS),
            (False, ExecutionTimeCondition(scope="tool", op="gt", ms=1)),
            (False, ToolArgCondition(op="exists", path="a")),
        ],
    )
    def test_conditions(self, expected: bool, condition: RuleCondition) -> None:
        """It is true where some condition, at any depth, looks at what happened before."""
        assert expected is engine_of(rule_of(condition=condition)).needs_past("tool.before", "refund", ())

    def test_only_what_the_call_meets(self) -> None:
        """Rules for other tools, other tags and the other phase do not count."""
        engine = engine_of(
            rule_of("a", condition=LIMIT, tool=ToolPattern(name=("ref*",), tags_any=("write",))),
            rule_of("b", condition=LIMIT, tool=ToolPattern(name=("other",)), phase="tool.after"),
        )

        assert engine.needs_past("tool.before", "Refund", ["WRITE"])
        assert engine.needs_past("tool.after", "other", ())
        assert not engine.needs_past("tool.before", "refund", ())
        assert not engine.needs_past("tool.before", "other", ("write",))
        assert not engine.needs_past("tool.after", "refund", ("write",))


class TestRemembers:
    @pytest.mark.parametrize(
        ("expected", "name", "tags"),
        [
            (True, "REFUND_all", ()),
            (True, "Verify", ()),
            (True, "other", ("Write", "WEB")),
            (False, "other", ("write",)),
            (False, "other", ()),
        ],
    )
    def test_what_counts_later(self, expected: bool, name: str, tags: Any) -> None:
        """A call is remembered where some limit counts it or some sequence looks for it."""
        engine = engine_of(
            rule_of("a", condition=NotCondition(not_=LIMIT), tool=ToolPattern(name=("quite another",))),
            rule_of("b", condition=AndCondition(all=(ORDER,)), phase="tool.after"),
        )

        assert expected is engine.remembers(name, tags)

    def test_no_such_rules(self) -> None:
        """Without limits and sequences nothing has to be remembered."""
        assert not engine_of(rule_of(condition=COST)).remembers("refund", ("write",))


class TestEngine:
    def test_metrics_and_times(self) -> None:
        """It tells which metrics are read and whether the run's time is."""
        engine = engine_of(rule_of(condition=OrCondition(any=(COST, TOTAL))))
        other = engine_of(rule_of(condition=ExecutionTimeCondition(scope="tool", op="gt", ms=1)))

        assert (frozenset({"cost"}), True) == (engine.metric_keys, engine.needs_run_time)
        assert (frozenset(), False) == (other.metric_keys, other.needs_run_time)

    def test_version_is_stable(self) -> None:
        """The version depends neither on the order of what is written nor on what plays no part."""
        limits = [
            MaxCallsCondition(selector=REFUNDS, max=1, tag_filter=tags)
            for tags in ({"a": "1", "b": "2"}, {"b": "2", "a": "1"})
        ]
        one = engine_of(rule_of("a", condition=limits[0]), rule_of("b"), rule_of("c", enabled=False))
        two = engine_of(rule_of("b"), rule_of("a", condition=limits[1]), description="Limits")

        assert one.version == two.version

    @pytest.mark.parametrize(
        ("rule", "policy"),
        [
            ({"condition": NEVER}, {}),
            ({"condition": RISK}, {}),
            ({"condition": AndCondition(all=(ALWAYS,))}, {}),
            ({"condition": OrCondition(any=(ALWAYS,))}, {}),
            ({"effect": "hitl"}, {}),
            ({"priority": 1}, {}),
            ({"reason": "Because"}, {}),
            ({"guidance": "Look it up"}, {}),
            ({"tool": ToolPattern(name=("a",))}, {}),
            ({"tool": ToolPattern(tags_any=("a",))}, {}),
            ({"on_missing": "hitl"}, {}),
            ({"mode": "shadow"}, {}),
            ({}, {"on_missing_default": "hitl"}),
        ],
    )
    def test_version_of_other_rules(self, rule: Any, policy: Any) -> None:
        """Whatever changes what the rules do or say changes the version."""
        assert engine_of(rule_of()).version != engine_of(rule_of(**rule), **policy).version

    def test_many_kinds_of_call(self) -> None:
        """However many names an agent makes up, what is remembered of them is bounded, and the answer right."""
        engine = engine_of(rule_of("a", tool=ToolPattern(name=("*7",))), rule_of("b"))
        numbers = [*range(indexing.MEMO_LIMIT + 10), *range(20)]
        expected = [["a", "b"] if number % 10 == 7 else ["b"] for number in numbers]

        assert expected == [evaluated_ids(engine.evaluate(call_of(f"tool{number}"), NO_FACTS)) for number in numbers]
        assert indexing.MEMO_LIMIT >= len(engine._indexes["tool.before"]._memo)
