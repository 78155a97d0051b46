"""Two servers, and a plane inside a process, on one database."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.control import a_desk, a_limit, a_policy, a_rule, at_once
from tests.support.servers import servers

ASK = a_rule({"kind": "toolName", "op": "eq", "value": "pay"}, "hitl", name="ask", tool="pay")
POLICY = a_policy(a_rule(a_limit(20, per="agent"), name="limit", tool="refund"), ASK)


@pytest.mark.sqlite
@pytest.mark.postgresql
@pytest.mark.slow
def test_all_agree(tmp_path: Path) -> None:
    """They allow as many calls together as the limit says; an answer given by way of one holds for one call of all."""
    file = tmp_path / "plane.db"
    with servers(2, file, POLICY) as both, a_desk(file, POLICY) as desk, ExitStack() as stack:
        runs = [stack.enter_context(stack.enter_context(each.client()).run()) for each in both]

        def over_http(number: int) -> int:
            return sum(runs[number].before_tool_sync("refund", {}).allowed for _ in range(10))

        def embedded() -> int:
            return sum(desk.may() for _ in range(10))

        works = [lambda: over_http(0), lambda: over_http(1), embedded]
        assert 20 == sum(at_once(works * 2))
        assert not desk.may("pay", args={"amount": 1}, run="run")
        (question,) = desk.plane.approvals()
        assert not runs[0].before_tool_sync("pay", {"amount": 1}).allowed
        assert [question.id] == [each.id for each in desk.plane.approvals()]
        desk.plane.respond(question.id, "approved", responded_by="ann")
        pays = [lambda run=run: run.before_tool_sync("pay", {"amount": 1}).allowed for run in runs]
        assert 1 == sum(at_once([*pays, lambda: desk.may("pay", args={"amount": 1}, run="run")]))
