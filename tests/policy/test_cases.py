"""Examples with the decisions that are expected of policies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from handlebar.core.schema import rules
from handlebar.errors import PolicyError
from handlebar.policy.cases import judge, load_call, load_cases
from tests.support.policies import ALWAYS, policy_of, rule_of

LIMIT = rules.MaxCallsCondition(selector=rules.ToolSelector("toolName", patterns=("pay",)), max=2, window_seconds=60)
COST = rules.MetricWindowCondition(
    scope="run", metric=rules.MetricRef(kind="custom", key="cost"), aggregate="sum", op="gt", value=9
)


def judged(expect: Any, *some: rules.Rule, **call: Any) -> tuple[str, ...]:
    """Return how one example differs from what is expected."""
    from attrs import evolve

    from handlebar.policy.cases import Expectation

    case = evolve(load_call({"tool": "pay", **call}), expect=Expectation(**expect))
    return judge(case, [policy_of(*some)]).differences


class TestJudging:
    def test_what_is_as_expected(self) -> None:
        """An example differs in nothing where effect, rule and rules in shadow are as expected, by id or by name."""
        some = [rule_of("a"), rule_of("b", mode="shadow")]
        assert () == judged({"effect": "block"}, *some)
        assert () == judged({"effect": "block", "rule": "a", "shadow": ("rule b",)}, *some)

    def test_what_is_not(self) -> None:
        """Each difference is told on its own."""
        found = judged({"effect": "hitl", "rule": "b", "shadow": ("b",)}, rule_of("a"))
        assert (
            "expected hitl, found block (rule a)",
            "expected the rule b, found a",
            "expected in shadow b, found none",
        ) == found
        assert ("expected block, found allow", "expected the rule a, found none") == judged(
            {"effect": "block", "rule": "a"}
        )

    @pytest.mark.parametrize(
        ("past", "effect"),
        [
            (["pay", "pay"], "block"),
            (["pay", "other"], "allow"),
            (["pay", {"tool": "pay", "secondsAgo": 61}], "allow"),
            (["pay", {"tool": "pay", "run": "another"}], "block"),
        ],
    )
    def test_the_past(self, past: list[Any], effect: str) -> None:
        """Calls that were allowed before count as they would in a database."""
        assert () == judged({"effect": effect}, rule_of("limit", LIMIT), past=past)

    def test_numbers_of_the_past(self) -> None:
        """Metrics of calls before are added to those of the example."""
        past = [{"tool": "pay", "metrics": {"cost": 5}}]
        assert () == judged({"effect": "block"}, rule_of("c", COST), past=past, metrics={"cost": 4.5})
        assert () == judged({"effect": "allow"}, rule_of("c", COST), past=past, metrics={"cost": 4})

    def test_what_the_application_says(self) -> None:
        """Signals and functions are what the example says, and missing otherwise."""
        risky = rule_of("s", rules.SignalCondition(key="risk", op="gt", value=0.5), on_missing="hitl")
        known = rule_of("f", rules.CustomCondition(name="known"), on_missing="hitl")
        assert () == judged({"effect": "block"}, risky, signals={"risk": 0.9})
        assert () == judged({"effect": "allow"}, known, functions={"known": False})
        assert () == judged({"effect": "hitl"}, risky, known)


class TestLoading:
    def test_a_file(self, tmp_path: Path) -> None:
        """A file names its policies, beside it, and the agent of all of its examples."""
        file = tmp_path / "cases.yaml"
        file.write_text(
            "policies: policies.yaml\n"
            "agent: {slug: desk, tags: [prod]}\n"
            "cases:\n"
            "- {name: one, tool: pay, at: 2026-07-01T18:00:00Z, expect: allow}\n"
            "- {name: two, tool: pay, agent: other, expect: {effect: block, shadow: []}}\n"
        )
        read = load_cases(file)
        one, two = read.cases
        assert (str(tmp_path / "policies.yaml"),) == read.policies
        assert (("desk", ("prod",)), "other") == ((one.agent.slug, one.agent.tags), two.agent.slug)
        assert ("2026-07-01T18:00:00+00:00", f"{file}:4") == (one.at.isoformat(), one.where)

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("cases: []", "cases.yaml:1: cases: the list is empty"),
            ("cases:\n- {name: a, tool: pay}", "cases.yaml:2: cases[0]: 'expect' is missing"),
            ("cases:\n- {name: a, tool: pay, expect: deny}", "'deny' is unknown"),
            ("cases:\n- {name: a, tol: pay, expect: block}", "did you mean 'tool'?"),
            ("cases:\n- {name: a, tool: pay, at: noon, expect: block}", "expected a time with its zone"),
            ("cases:\n- {name: a, tool: pay, past: [{}], expect: block}", "'tool' is missing"),
            ("cases: [", "document:"),
        ],
    )
    def test_what_is_wrong(self, tmp_path: Path, text: str, problem: str) -> None:
        """What is wrong in a file is told with its place."""
        file = tmp_path / "cases.yaml"
        file.write_text(text)
        with pytest.raises(PolicyError) as caught:
            load_cases(file)
        assert problem in str(caught.value)

    def test_a_call_alone(self, tmp_path: Path) -> None:
        """A call to be explained needs nothing but its tool, and comes from a file or a mapping."""
        file = tmp_path / "call.json"
        file.write_text('{"tool": "pay"}')
        assert "pay" == load_call(file).tool == load_call({"tool": "pay"}).tool
        with pytest.raises(PolicyError, match="'tool' is missing"):
            load_call({})

    def test_a_call_is_explained(self) -> None:
        """An example that expects nothing differs in nothing."""
        assert () == judge(load_call({"tool": "pay"}), [policy_of(rule_of("a", ALWAYS))]).differences
