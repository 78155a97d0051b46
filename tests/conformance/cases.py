"""
Cases that every path to a decision has to answer alike: files of calls, policies and what is expected.

A file is a list of cases. A case is a mapping:

- `name`: one sentence.
- `policies`: as policy files hold them; `rule` below stands for a policy with one rule.
- `rule`: the rule, of which `name` (`the rule`), `selector` (`tool.before`, every tool) and `effect` (block) may be
  left out; its keys `tool`, `phase` and `effect: hitl` stand for the selector and the effect in short.
- `agent`, `actor`, `tags`, `subjects`: who calls, and how the run is tagged; `agent` has `tags`, `actor` has `id` and
  `metadata`, a subject has `type`, `value`, `role` and `idSystem`.
- `signals`: values by key that the host application gives; `functions`: answers by name.
- `steps`: what happens, in order. One of:
  - `call`: a tool's name, or a mapping of `tool`, `toolTags`, `args`, `phase` (`after`), `durationMs`, `metrics`, `run`
    (a label; calls with one label are of one run), `actor` (an id) and `at` (a time; it never goes back).
    `expect` says what comes of it, `times` how often it is made, with the same answer each time.
  - `answer`: `approved` or `denied`, by a person, to the question that was last put.
  - `lockdown`: a mapping of `reason`, and of `actor`, `tool` where it is about one; `lift`: the same, to lift it.

`expect` is `allow` or `block`, or a mapping: `verdict`, `control` (CONTINUE), `cause` (by the verdict ALLOW or
RULE_VIOLATION), `rule` (the name of the final rule), `message`, `guidance`, `shadow` (effects by name of the rule),
`evaluated` (whether it matched, by name of the rule), `shared` (whether it takes what processes share).
What is not said is not looked at, but for verdict, control and cause.

A call that says TERMINATE is the last of its run. `Case.needs` tells what a path has to be able to do; one that
cannot leaves the case out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from attrs import Factory, frozen

from handlebar.core.schema.agents import Actor
from handlebar.core.schema.subjects import SubjectRef
from handlebar.policy import load_policies

FOLDER = Path(__file__).parent


@frozen(kw_only=True)
class Expected:
    """What a decision has to say; None where anything will do."""

    verdict: str
    control: str = "CONTINUE"
    cause: str
    rule: str | None = None
    message: str | None = None
    guidance: str | None = None
    shadow: Mapping[str, str] | None = None
    evaluated: Mapping[str, bool] | None = None
    shared: bool | None = None


@frozen(kw_only=True)
class CallStep:
    """A call, and what is expected of it."""

    tool: str
    tool_tags: tuple[str, ...] = ()
    args: Any = Factory(dict)
    phase: str = "before"
    duration_ms: float | None = None
    metrics: Mapping[str, float] = Factory(dict)
    run: str = "run"
    actor: str | None = None
    at: datetime | None = None
    times: int = 1
    expect: Expected


@frozen
class AnswerStep:
    """A person answers the question that was last put: `approved` or `denied`."""

    status: Any


@frozen(kw_only=True)
class LockdownStep:
    """A lockdown is imposed, or lifted where *reason* is None."""

    reason: str | None
    actor: str | None = None
    tool: str | None = None


Step = CallStep | AnswerStep | LockdownStep


@frozen(kw_only=True)
class Case:
    """
    One case.

    Attributes:
        policies: As policy files hold them.

        rule_ids: The ids of the rules by their names.

        needs: What a path has to be able to do: `signals`, `lockdowns`, `time`.
    """

    name: str
    policies: tuple[Any, ...]
    rule_ids: Mapping[str, str]
    agent_tags: tuple[str, ...] = ()
    actor: Actor | None = None
    tags: Mapping[str, str] = Factory(dict)
    subjects: tuple[SubjectRef, ...] = ()
    signals: Mapping[str, Any] = Factory(dict)
    functions: Mapping[str, bool] = Factory(dict)
    steps: tuple[Step, ...]

    @property
    def needs(self) -> frozenset[str]:
        """What a path has to be able to do."""
        found = {"signals"} if self.signals or self.functions else set()
        if any(isinstance(step, LockdownStep) for step in self.steps):
            found.add("lockdowns")
        if any(isinstance(step, CallStep) and step.at for step in self.steps):
            found.add("time")
        return frozenset(found)

    @property
    def calls(self) -> tuple[CallStep, ...]:
        """The steps that are calls."""
        return tuple(step for step in self.steps if isinstance(step, CallStep))


def load_cases() -> list[Case]:
    """Return all cases of all files, each under a name of its own."""
    cases = [_case(each) for file in sorted(FOLDER.glob("*.yaml")) for each in yaml.safe_load(file.read_text("utf-8"))]
    names = [case.name for case in cases]
    assert len(set(names)) == len(names), sorted(name for name in names if names.count(name) > 1)
    return cases


def _case(raw: dict[str, Any]) -> Case:
    written = tuple(raw.pop("policies", ())) or (_policy_of(raw.pop("rule")),)
    loaded = load_policies(list(written))
    agent, actor = raw.pop("agent", {}), raw.pop("actor", None)
    return Case(
        policies=written,
        rule_ids={rule.name: rule.id for policy in loaded for rule in policy.rules},
        agent_tags=tuple(agent.get("tags", ())),
        actor=None if actor is None else Actor(actor["id"], metadata=actor.get("metadata")),
        subjects=tuple(_subject(each) for each in raw.pop("subjects", ())),
        steps=tuple(_steps(raw.pop("steps"))),
        **raw,
    )


def _policy_of(rule: dict[str, Any]) -> dict[str, Any]:
    """Return the policy that a rule in short stands for."""
    effect = rule.pop("effect", "block")
    selector = {"phase": f"tool.{rule.pop('phase', 'before')}", "tool": {"name": rule.pop("tool", "*")}}
    whole = {"name": "the rule", "selector": selector, **rule}
    return {
        "name": "the policy",
        "rules": [{**whole, "effect": {"type": effect} if isinstance(effect, str) else effect}],
    }


def _subject(raw: dict[str, Any]) -> SubjectRef:
    return SubjectRef(raw["type"], raw["value"], raw.get("role"), raw.get("idSystem"))


def _steps(raw: list[dict[str, Any]]) -> Iterator[Step]:
    for step in raw:
        if "answer" in step:
            yield AnswerStep(step["answer"])
        elif "call" in step:
            yield _call(step)
        else:
            imposed = step["lockdown"] if "lockdown" in step else step["lift"]
            yield LockdownStep(reason=imposed.get("reason"), actor=imposed.get("actor"), tool=imposed.get("tool"))


def _call(step: dict[str, Any]) -> CallStep:
    call: dict[str, Any] = {"tool": step["call"]} if isinstance(step["call"], str) else dict(step["call"])
    tags, duration = tuple(call.pop("toolTags", ())), call.pop("durationMs", None)
    expect = _expected(step["expect"])
    return CallStep(**call, tool_tags=tags, duration_ms=duration, times=step.get("times", 1), expect=expect)


def _expected(raw: Any) -> Expected:
    said = {"verdict": raw} if isinstance(raw, str) else dict(raw)
    verdict = said.pop("verdict").upper()
    cause = said.pop("cause", "ALLOW" if verdict == "ALLOW" else "RULE_VIOLATION")
    return Expected(verdict=verdict, cause=cause, **said)
