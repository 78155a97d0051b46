"""Why the rules say what they say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from handlebar.core.schema import rules
from handlebar.core.schema.agents import Actor
from handlebar.core.schema.rules import Policy
from handlebar.core.schema.subjects import SubjectRef
from handlebar.core.schema.traces import ConditionTrace
from handlebar.policy.engine import compile_policies
from handlebar.policy.explaining import explain
from handlebar.policy.facts import Call, PastCall
from tests.policy.test_engine_property import calls, facts, several_policies
from tests.support.policies import ALWAYS, MISSING, NEVER, call_of, policy_of, rule_of
from tests.support.policy_facts import StatedFacts


def tree_of(condition: Any, call: Call | None = None, stated: StatedFacts | None = None) -> ConditionTrace:
    """Return the trace of one condition."""
    explanation = explain([policy_of(rule_of("r", condition))], call or call_of(), stated or StatedFacts())
    tree = explanation.rules[0].condition
    assert tree is not None
    return tree


class TestExplain:
    @settings(deadline=None, max_examples=200)
    @given(several_policies, calls, facts)
    def test_says_what_the_engine_says(self, policies: list[Policy], call: Call, facts: StatedFacts) -> None:
        """The traces and the engine never differ: in no outcome, in no rule and in no effect."""
        outcome = compile_policies(policies, agent_slug=call.agent_slug, agent_tags=call.agent_tags).evaluate(
            call, facts
        )
        explanation = explain(policies, call, facts)
        looked_at = [each for each in explanation.rules if each.answer != "skipped"]
        said = [(each.rule_id, each.effect) for each in looked_at if each.enforced and each.effect is not None]
        hidden = [(each.rule_id, each.effect) for each in looked_at if not each.enforced]

        assert outcome == explanation.outcome
        assert [(each.rule_id, each.matched) for each in outcome.evaluated] == [
            (each.rule_id, each.effect is not None) for each in looked_at
        ]
        final = outcome.final_rule
        assert (final.id if final else None, outcome.effect) in (said or [(None, "allow")])
        assert [(each.rule_id, each.effect) for each in outcome.shadow] == [
            each for each in hidden if each[1] in ("hitl", "block")
        ]

    def test_rules_that_are_not_for_the_call(self) -> None:
        """A rule that nobody had to look at says why."""
        skipped = [
            policy_of(rule_of("1"), enabled=False),
            policy_of(rule_of("2"), agent_selector=rules.AgentSelector(any_of_slugs=("other",))),
            policy_of(rule_of("3", enabled=False)),
            policy_of(rule_of("4", phase="tool.after")),
            policy_of(rule_of("5", tool=rules.ToolPattern(name=("delete",)))),
        ]
        found = explain(skipped, call_of(), StatedFacts()).rules
        assert ["skipped"] * 5 == [each.answer for each in found]
        assert [
            "its policy is disabled",
            "its policy is for other agents",
            "it is disabled",
            "it is asked at tool.after",
            "it is about other tools",
        ] == [each.because for each in found]

    @pytest.mark.parametrize(
        ("condition", "answers", "because"),
        [
            (rules.AndCondition(all=(NEVER, ALWAYS)), ["notMatched", "notMatched", "skipped"], "part 1 decides"),
            (rules.AndCondition(all=(ALWAYS, NEVER)), ["notMatched", "matched", "notMatched"], "part 2 decides"),
            (rules.AndCondition(all=(ALWAYS, ALWAYS)), ["matched", "matched", "matched"], "all hold"),
            (rules.OrCondition(any=(ALWAYS, NEVER)), ["matched", "matched", "skipped"], "part 1 decides"),
            (rules.OrCondition(any=(NEVER, NEVER)), ["notMatched", "notMatched", "notMatched"], "none holds"),
            (rules.OrCondition(any=(MISSING, NEVER)), ["missing", "missing", "notMatched"], "a value is missing"),
            (rules.NotCondition(not_=NEVER), ["matched", "notMatched"], "it does not hold"),
            (rules.NotCondition(not_=ALWAYS), ["notMatched", "matched"], "it holds"),
            (rules.NotCondition(not_=MISSING), ["missing", "missing"], "a value is missing"),
        ],
    )
    def test_joined_conditions(self, condition: Any, answers: list[str], because: str) -> None:
        """Each part of a tree matched, did not, lacked a value, or was skipped because another had decided."""
        tree = tree_of(condition)
        assert answers == [tree.answer, *(part.answer for part in tree.parts)]
        assert because == tree.because

    @pytest.mark.parametrize(
        ("condition", "asks", "because"),
        [
            (
                rules.ToolNameCondition(op="in", value=("a", "b*")),
                "the tool's name in ('a', 'b*')",
                "the tool is 'pay'",
            ),
            (
                rules.ToolTagCondition(op="anyOf", tags=("x", "y")),
                "the tool's tags, anyOf: x, y",
                "the tags are: write",
            ),
            (
                rules.ToolArgCondition(type="number", op="gt", path="amount", value=500),
                "argument amount gt 500",
                "900 is a number",
            ),
            (
                rules.ToolArgCondition(op="exists", path="no.where"),
                "argument no.where exists",
                "there is no argument no.where",
            ),
            (rules.ToolArgCondition(op="exists", path="lines"), "argument lines exists", "lines is a list"),
            (
                rules.ToolArgCondition(type="string", op="contains", value="x"),
                "any text in the arguments contains 'x'",
                "the texts are: 'ann@x.com'",
            ),
            (
                rules.EnduserTagCondition(op="hasValue", tag="tier", value="gold"),
                "the actor's tier, hasValue ('gold')",
                "tier is 'basic'",
            ),
            (rules.EnduserTagCondition(op="has", tag="vip"), "the actor's vip, has", "the actor has no vip"),
            (
                rules.ExecutionTimeCondition(scope="tool", op="gt", ms=5),
                "this call's time gt 5 ms",
                "the call is not over yet",
            ),
            (
                rules.SequenceCondition(must_have_called=(rules.ToolSelector("toolName", patterns=("check*",)),)),
                "check* was not called before",
                "called before in this run: look, check_id",
            ),
            (
                rules.MaxCallsCondition(
                    selector=rules.ToolSelector("toolTag", tags=("write",)), max=3, per="agent_user", window_seconds=60
                ),
                "3 or more calls of the agent for this actor within 60 s of tools with a tag of write",
                "2 such calls count so far",
            ),
            (
                rules.MetricWindowCondition(
                    scope="run",
                    metric=rules.MetricRef(kind="custom", key="cost"),
                    aggregate="sum",
                    op="gt",
                    value=9,
                ),
                "sum of cost of this run gt 9",
                "the sum of cost is 4.5",
            ),
            (
                rules.TimeGateCondition(
                    timezone=rules.TimeZoneSource(source="static", tz="Europe/Berlin"),
                    windows=(rules.TimeWindow(days=("mon", "tue"), start="09:00", end="17:00"),),
                ),
                "now is mon, tue 09:00-17:00 in Europe/Berlin",
                "there it is wed 14:00",
            ),
            (
                rules.TimeGateCondition(
                    timezone=rules.TimeZoneSource(source="enduserTag", tag="zone"),
                    windows=(rules.TimeWindow(days=("mon",), start="09:00", end="17:00"),),
                ),
                "now is mon 09:00-17:00 in the actor's zone",
                "the actor has no time zone",
            ),
            (
                rules.RequireSubjectCondition(subject_type="order"),
                "a subject of type order",
                "the subjects are: customer (crm)",
            ),
            (rules.SignalCondition(key="risk", op="gt", value=0.5), "signal risk gt 0.5", "risk is 0.9"),
            (
                rules.SignalCondition(
                    key="risk",
                    args={"id": rules.SignalBinding(from_="toolArg", path="nothing")},
                    op="gt",
                    value=0.5,
                ),
                "signal risk gt 0.5",
                "an argument of the signal is not in the call",
            ),
            (rules.CustomCondition(name="known"), "the application's function known says so", "known says no"),
            (
                rules.SensitiveDataCondition(
                    detectors=(rules.Detector(detector="email"), rules.Detector(detector="url"))
                ),
                "anyOf in the arguments: email, url",
                "found: email",
            ),
        ],
    )
    def test_leaves(self, condition: Any, asks: str, because: str) -> None:
        """Each kind of condition says what it asks for and what it has found."""
        call = call_of(
            "pay",
            tool_tags=("write",),
            args={"amount": 900, "to": "ann@x.com", "lines": []},
            actor=Actor("u", metadata={"tier": "basic"}),
            subjects=(SubjectRef("customer", "7", id_system="crm"),),
        )
        stated = StatedFacts(
            past=(PastCall("look"), PastCall("check_id"), PastCall("look")),
            counts={"agent_user": 2},
            metrics={"cost": 4.5},
            signals={"risk": 0.9},
            customs={"known": False},
        )
        tree = tree_of(condition, call, stated)
        assert (asks, because) == (tree.asks, tree.because)

    def test_a_value_that_is_missing(self) -> None:
        """Where a value is missing the rule tells what it says then."""
        (rule,) = explain([policy_of(rule_of("r", MISSING, on_missing="hitl"))], call_of(), StatedFacts()).rules
        assert ("missing", "hitl") == (rule.answer, rule.effect)
        assert "a value is missing; where that is so it says hitl" == rule.because
