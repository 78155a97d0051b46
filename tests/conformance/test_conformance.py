"""Every case gives the same decision, and the same event, on every path."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path as File
from typing import Any

import pytest
from attrs import frozen
from flask import Flask

from handlebar.control import question
from handlebar.control.administration import Administration
from handlebar.control.database import Database
from handlebar.control.keys import KeyRing
from handlebar.control.local import LocalControlPlane
from handlebar.control.policies import read_sources
from handlebar.control.service import EmbeddedControlPlane
from handlebar.core.questions import ToolUse
from handlebar.core.run_recorder import RunRecorder
from handlebar.core.schema.governance import Decision
from handlebar.policy.loading import load_policies
from tests.conformance.cases import AnswerStep, CallStep, Case, Expected, LockdownStep, load_cases
from tests.conformance.paths import EnginePath, Path, PlanePath, host_of, http_plane, registered
from tests.support.control import url_of
from tests.support.loopback import listening
from tests.support.servers import Caller, a_place

CASES = load_cases()


@frozen
class Bench:
    """A database, and a server on it; every case has a tenant of its own there."""

    app: Flask
    url: str
    database: Database

    @contextmanager
    def engine(self, case: Case, tenant: str) -> Iterator[Path]:
        """The engine alone."""
        yield EnginePath.of(case)

    @contextmanager
    def embedded(self, case: Case, tenant: str) -> Iterator[Path]:
        """The plane in this process."""
        sources = read_sources(list(case.policies), owner="desk")
        plane = EmbeddedControlPlane(self.database, sources, host=host_of(case), tenant=tenant)
        yield PlanePath(case, plane, plane, registered(plane, case))

    @contextmanager
    def http(self, case: Case, tenant: str) -> Iterator[Path]:
        """The plane over HTTP."""
        with closing(http_plane(self.url, self._prepared(case, tenant))) as plane:
            yield PlanePath(case, plane, Administration(self.database, tenant), registered(plane, case))

    @contextmanager
    def local(self, case: Case, tenant: str) -> Iterator[Path]:
        """By a snapshot that was taken over HTTP."""
        key, more = self._prepared(case, tenant), {"asks_instead": False, "host": host_of(case)}
        with closing(http_plane(self.url, key, LocalControlPlane, **more)) as plane:

            def news() -> None:
                """Take a snapshot, as the timer would within seconds."""
                registered(plane, case)

            yield PlanePath(case, plane, Administration(self.database, tenant), registered(plane, case), news)

    def _prepared(self, case: Case, tenant: str) -> str:
        """Put the policies in force; return an agent's key."""
        keys = KeyRing(self.database)
        admin = Caller(self.app, keys.create("admin", role="admin", tenant=tenant).secret)
        for policy in case.policies:
            admin.does("POST", "/v1/policies", policy)
        return keys.create("agent", role="agent", tenant=tenant).secret


@pytest.fixture(name="bench", scope="module")
def _bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    file: File = tmp_path_factory.mktemp("conformance") / "plane.db"
    with a_place(file) as place, listening(place.app) as url, closing(Database(url_of(file))) as database:
        yield Bench(place.app, url, database)


CANNOT = {"engine": {"lockdowns"}, "embedded": set(), "http": {"signals"}, "local": set()}
"""What a path cannot do: a server has no functions of the host application."""

WHO: dict[str, set[str | None]] = {
    "engine": {None},
    "embedded": {"embedded"},
    "http": {"control_plane"},
    "local": {"local", "control_plane"},
}


def outcome(decision: Decision, expected: Expected, case: Case) -> dict[str, Any]:
    """Return of a decision what the case says something about, in the words of the case."""
    names = {rule_id: name for name, rule_id in case.rule_ids.items()}
    found = {
        "verdict": decision.verdict.value,
        "control": decision.control.value,
        "cause": decision.cause.kind,
        "rule": names.get(decision.final_rule_id or ""),
        "message": decision.message,
        "guidance": decision.guidance,
        "shadow": {names[each.rule_id]: each.effect for each in decision.shadow},
        "evaluated": {names[each.rule_id]: each.matched for each in decision.evaluated_rules},
    }
    return {name: value for name, value in found.items() if getattr(expected, name) is not None}


def wanted(expected: Expected) -> dict[str, Any]:
    """Return what the case says."""
    names = ("verdict", "control", "cause", "rule", "message", "guidance", "shadow", "evaluated")
    said = {name: getattr(expected, name) for name in names}
    return {
        name: dict(value) if name in ("shadow", "evaluated") else value
        for name, value in said.items()
        if value is not None
    }


class _Told:
    """An envelope that keeps what would be sent."""

    def __init__(self) -> None:
        self.data: list[Any] = []

    def emit(self, kind: Any, make_data: Callable[[], Any], *, step_index: int | None, **more: Any) -> None:
        self.data.append(make_data())


def event_of(decision: Decision, step: CallStep) -> Any:
    """Return the data of the event that a run records."""
    told = _Told()
    use = ToolUse(name=step.tool, tags=step.tool_tags, args=step.args)
    RunRecorder(told).decided(decision, use, None, step_index=0, latency_ms=0.0)
    (data,) = told.data
    return data


@pytest.mark.parametrize("way", ["engine", "embedded", "http", "local"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case(bench: Bench, case: Case, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call of the case is decided as it says, and recorded as it was decided."""
    if case.needs & CANNOT[way]:
        pytest.skip(f"not on this path: {', '.join(case.needs)}")
    policies = {policy.id for each in case.policies for policy in load_policies([each])}
    with getattr(bench, way)(case, f"{way}-{CASES.index(case)}") as path:
        for step in case.steps:
            if isinstance(step, AnswerStep):
                path.answer(step)
            elif isinstance(step, LockdownStep):
                path.lock(step)
            else:
                if step.at is not None:
                    now = int(step.at.timestamp() * 1e9)
                    monkeypatch.setattr(question, "time_ns", lambda now=now: now)
                for _ in range(step.times):
                    decision = path.decide(step)
                    assert wanted(step.expect) == outcome(decision, step.expect, case)
                    check_record(decision, step, way, policies)


def check_record(decision: Decision, step: CallStep, way: str, policies: set[str]) -> None:
    """Check who decided by what, and that the event says the same as the decision."""
    assert decision.decided_by in WHO[way]
    if way == "local" and step.expect.shared is not None:
        assert ("control_plane" if step.expect.shared else "local") == decision.decided_by
    if way != "engine" and decision.cause.kind != "LOCKDOWN":
        assert {each.policy_id for each in decision.policy_versions} <= policies
        assert {1} >= {each.version for each in decision.policy_versions}
    event = event_of(decision, step)
    names = ("verdict", "control", "cause", "message", "evaluated_rules", "final_rule_id", "decided_by")
    assert [getattr(decision, name) for name in names] == [getattr(event, name) for name in names]
    assert (decision.policy_versions or None, decision.shadow or None) == (event.policy_versions, event.shadow)
    assert (decision.cause.kind == "HITL_PENDING") is (event.hitl is not None)
