"""Decisions that say how they came about, whoever makes them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from handlebar.core.client import HandlebarClient
from handlebar.core.config import HandlebarClientConfig
from handlebar.core.run import Run
from tests.support.control import a_limit, a_policy, a_rule, url_of
from tests.support.loopback import listening
from tests.support.servers import Caller, a_place

BAN = a_rule({"kind": "toolName", "op": "eq", "value": "drop"}, id="ban", name="no drops", tool="drop")
LIMIT = a_rule(a_limit(1), id="limit", name="one refund", tool="refund")
ASK = a_rule({"kind": "toolName", "op": "eq", "value": "pay"}, "hitl", id="ask", name="ask", tool="pay")
POLICY = a_policy(BAN, LIMIT, ASK, id="p")


@contextmanager
def a_run(file: Path, way: str) -> Iterator[Run]:
    """Start a run whose calls are decided in that *way*, with `POLICY` in force."""
    with a_place(file, POLICY) as place, listening(place.app) as url:
        settings: dict[str, Any] = {"api_key": place.key("agent").secret, "fail_closed": True}
        if way == "embedded":
            settings |= {"api_endpoint": url_of(file), "policies": [POLICY]}
        else:
            settings |= {"api_endpoint": url, "evaluate": way}
        client = HandlebarClient.init_sync(HandlebarClientConfig("desk", **settings))
        try:
            with client.run() as run:
                yield run
        finally:
            client.shutdown_sync()


@pytest.mark.parametrize(
    ("way", "decided_by"), [("embedded", "embedded"), ("remote", "control_plane"), ("local", "local")]
)
def test_the_trace_is_given_on_request(tmp_path: Path, way: str, decided_by: str) -> None:
    """A decision carries what each rule said, those too that are not for the call, where that was asked for."""
    with a_run(tmp_path / "plane.db", way) as run:
        told = run.before_tool_sync("drop", {}, explain=True)
        untold = run.before_tool_sync("drop", {})
    assert told.trace is not None
    by_id = {each.rule_id: each for each in told.trace}
    assert (False, decided_by) == (told.allowed, told.decided_by)
    assert {"ban", "limit", "ask"} == set(by_id)
    assert ("matched", "block") == (by_id["ban"].answer, by_id["ban"].effect)
    assert by_id["ban"].condition is not None
    assert "the tool is 'drop'" == by_id["ban"].condition.because
    assert ("skipped", "it is about other tools", None) == (
        by_id["limit"].answer,
        by_id["limit"].because,
        by_id["limit"].condition,
    )
    assert untold.trace is None


@pytest.mark.parametrize("way", ["embedded", "remote", "local"])
def test_it_tells_the_count_that_decided(tmp_path: Path, way: str) -> None:
    """A trace is of the very transaction that decides: an explained call takes its place, and counts once."""
    with a_run(tmp_path / "plane.db", way) as run:
        decisions = [run.before_tool_sync("refund", {}, explain=True) for _ in range(2)]
    counted = [each.condition.because for made in decisions for each in made.trace or () if each.condition]
    assert [True, False] == [each.allowed for each in decisions]
    assert ["0 such calls count so far", "1 such calls count so far"] == counted


@pytest.mark.parametrize("way", ["embedded", "remote"])
def test_what_a_person_is_asked_about(tmp_path: Path, way: str) -> None:
    """A call that waits for a person says why."""
    with a_run(tmp_path / "plane.db", way) as run:
        decision = run.before_tool_sync("pay", {}, explain=True)
    assert "HITL_PENDING" == decision.cause.kind
    assert ["hitl"] == [each.effect for each in decision.trace or () if each.effect]


def test_a_wish_that_is_none(admin: Caller) -> None:
    """Only true and false say whether a decision is to be explained."""
    question = {"phase": "tool.before", "agentId": admin.registers(), "tool": {"name": "t"}, "explain": "yes"}
    assert (400, "malformed", "explain") == admin.refused("POST", "/v1/runs/run/evaluate", question)
