"""Past calls, decided again under other policies."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlebar.core.schema import rules
from handlebar.core.schema.agents import AgentDescriptor
from handlebar.policy.replaying import CallReader, Replay, Replayed
from tests.policy.generated_policies import json_values
from tests.support.policies import ALWAYS, policy_of, rule_of


def event(kind: str, second: int = 0, step: int = 0, run: str = "r", **data: Any) -> dict[str, Any]:
    """Return an event as it is on the wire."""
    return {"kind": kind, "ts": f"2026-07-01T12:00:{second:02}Z", "runId": run, "stepIndex": step, "data": data}


def decision(
    tool: str = "pay", effect: str = "allow", *, rule: str | None = None, yes: bool = False, **more: Any
) -> dict[str, Any]:
    """Return a decision by *rule*, where *yes* says that a person has allowed what it asked."""
    kinds = {"allow": "ALLOW", "block": "RULE_VIOLATION", "hitl": "ALLOW" if yes else "HITL_PENDING"}
    data = {
        "tool": {"name": tool, "categories": ["write"]},
        "args": {"amount": 900},
        "verdict": "ALLOW" if effect == "allow" or yes else "BLOCK",
        "cause": {"kind": kinds[effect]},
        "evaluatedRules": [{"ruleId": rule, "violated": effect != "allow"}],
        "finalRuleId": rule,
    }
    return event("tool.decision", **{**data, **more})


def replayed(events: list[dict[str, Any]], *some: rules.Rule) -> list[Replayed]:
    """Decide what *events* tell again under *some* rules."""
    reader, replay = CallReader(), Replay([policy_of(*some)], AgentDescriptor)
    calls = [call for each in events for call in reader.calls_of("desk", each)] + list(reader.rest())
    return [again for call in calls if (again := replay.decide(call)) is not None]


def effects(*some: Replayed) -> list[tuple[str, str, bool]]:
    """Return what was decided then, what is decided now, and whether that is a change."""
    return [(each.call.effect, each.outcome.effect, each.changed) for each in some]


LIMIT = rule_of(
    "limit", rules.MaxCallsCondition(selector=rules.ToolSelector("toolName", patterns=("pay",)), max=1), "block"
)


class TestReplay:
    def test_nothing_has_changed(self) -> None:
        """Under the rules of then nothing changes: no block, no question, and no answer of a person."""
        recorded = [
            decision("a", "block", rule="1"),
            decision("b", "hitl", rule="2"),
            decision("c", "hitl", rule="2", yes=True),
            decision("c", "block", rule="2"),  # a person has said no
            decision("d"),
        ]
        blocked = rule_of("1", rules.ToolNameCondition(op="eq", value="a"))
        asked = rule_of("2", rules.ToolNameCondition(op="in", value=("b", "c")), "hitl")
        assert [False] * 5 == [each.changed for each in replayed(recorded, blocked, asked)]

    def test_what_would_change(self) -> None:
        """Each way in which an effect may change is told."""
        recorded = [decision("a", "block", rule="1"), decision("b"), decision("c", "hitl", rule="2", yes=True)]
        now = rule_of("9", rules.ToolNameCondition(op="eq", value="b"), "hitl")
        assert [("block", "allow", True), ("allow", "hitl", True), ("hitl", "allow", True)] == effects(
            *replayed(recorded, now)
        )

    def test_the_past_is_that_of_the_new_rules(self) -> None:
        """A call that would have been blocked takes no place, one that would have been allowed does."""
        some = replayed([decision("pay"), decision("pay"), decision("pay", run="s")], LIMIT)
        assert ["allow", "block", "allow"] == [each.outcome.effect for each in some]
        was_blocked = replayed([decision("pay", "block", rule="x"), decision("pay")], LIMIT)
        assert ["allow", "block"] == [each.outcome.effect for each in was_blocked]

    def test_rules_that_are_asked_afterwards(self) -> None:
        """A call that is over is decided again with its duration and its arguments, and compared with what was said."""
        slow = rule_of(
            "slow",
            rules.AndCondition(
                all=(
                    rules.ExecutionTimeCondition(scope="tool", op="gt", ms=100),
                    rules.ToolArgCondition(type="number", op="gt", path="amount", value=500),
                )
            ),
            phase="tool.after",
        )
        metrics = {"inbuilt": {"duration_ms": {"value": 150}}}
        over = event("tool.result", tool={"name": "pay"}, metrics=metrics)
        before, after = replayed([decision(), over, event("run.ended")], slow)
        assert ("tool.before", "tool.after") == (before.call.phase, after.call.phase)
        assert [("allow", "allow", False), ("allow", "block", True)] == effects(before, after)
        _, same = replayed([decision(), over, decision("pay", "block", rule="slow")], slow)
        assert [("block", "block", False)] == effects(same)
        _, _, following = replayed([decision(), over, decision(step=1)], slow)
        assert "tool.before" == following.call.phase

    def test_a_lockdown(self) -> None:
        """What a lockdown had decided is no matter of rules."""
        assert [] == replayed([decision(effect="block", cause={"kind": "LOCKDOWN"})], LIMIT)

    @pytest.mark.parametrize(
        ("condition", "doubt"),
        [
            (rules.SignalCondition(key="risk", op="gt", value=1), "the signal risk"),
            (rules.CustomCondition(name="known"), "the function known"),
            (
                rules.MaxCallsCondition(
                    selector=rules.ToolSelector("toolName", patterns=("pay",)), max=1, tag_filter={"env": "prod"}
                ),
                "the run's tags",
            ),
        ],
    )
    def test_what_the_record_does_not_hold(self, condition: Any, doubt: str) -> None:
        """What no event tells is missing, and the call doubtful."""
        (only,) = replayed([decision()], rule_of("r", condition, on_missing="allow"))
        assert ("allow", (doubt,)) == (only.outcome.effect, only.doubts)

    def test_arguments_that_were_too_large(self) -> None:
        """A call whose arguments were not recorded is doubtful."""
        (only,) = replayed([decision(args=None)], rule_of("r", ALWAYS))
        assert ("the arguments",) == only.doubts

    def test_who_calls(self) -> None:
        """The actor is the one that the run has started with."""
        started = event("run.started", actor={"externalId": "ann", "metadata": {"tier": "gold", "n": 1}})
        gold = rule_of("r", rules.EnduserTagCondition(op="hasValue", tag="tier", value="gold"))
        (only,) = replayed([started, decision()], gold)
        assert ("ann", "block") == (only.call.actor and only.call.actor.external_id, only.outcome.effect)

    def test_what_the_model_used(self) -> None:
        """Tokens count with the next call."""
        spent = rule_of(
            "r",
            rules.MetricWindowCondition(
                scope="run",
                metric=rules.MetricRef(kind="inbuilt", key="llm_tokens_in"),
                aggregate="sum",
                op="gte",
                value=10,
            ),
            on_missing="allow",
        )
        model = event("llm.result", tokens={"in": 6, "out": 1})
        assert ["allow", "block"] == [
            each.outcome.effect for each in replayed([model, decision(), model, decision()], spent)
        ]

    @given(
        st.lists(
            st.fixed_dictionaries(
                {"kind": st.sampled_from(["run.started", "tool.decision", "tool.result", "llm.result"])},
                optional={"data": json_values, "runId": st.just("r") | json_values, "ts": json_values},
            )
            | json_values,
            max_size=4,
        )
    )
    def test_events_of_any_form(self, events: list[Any]) -> None:
        """Whatever others have sent as events breaks no replay."""
        assert all(each.outcome is not None for each in replayed(events, LIMIT))
