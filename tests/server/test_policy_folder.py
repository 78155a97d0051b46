"""A folder of policies that servers watch."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

import pytest

from handlebar.server import create_app
from tests.support.control import a_desk, a_policy, a_rule, url_of
from tests.support.servers import servers
from tests.support.waiting import eventually, threads_named

SOON = 20.0
"""A second or two, on a machine that does nothing else."""


def a_ban(tool: str) -> str:
    """Return a file that blocks one tool."""
    return json.dumps(a_policy(a_rule({"kind": "toolName", "op": "eq", "value": tool}), name=f"no {tool}"))


@pytest.mark.slow
def test_a_change_is_in_force_everywhere(tmp_path: Path) -> None:
    """Two servers, and a plane inside a process that knows of no folder, go by what was changed, added or removed."""
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "one.json").write_text(a_ban("refund"))
    with servers(2, tmp_path / "plane.db", str(folder)) as both, ExitStack() as stack:
        runs = [stack.enter_context(stack.enter_context(each.client()).run()) for each in both]
        here = stack.enter_context(a_desk(tmp_path / "plane.db"))

        def allowed(tool: str) -> set[bool]:
            return {here.may(tool), *(run.before_tool_sync(tool, {}).allowed for run in runs)}

        assert eventually(lambda: {False} == allowed("refund"), seconds=SOON)
        (folder / "one.json").write_text("{")
        (folder / "two.json").write_text(a_ban("search"))
        assert not eventually(lambda: {False} != allowed("refund"), seconds=2.5)
        (folder / "one.json").unlink()
        assert eventually(lambda: ({True}, {False}) == (allowed("refund"), allowed("search")), seconds=SOON)


def test_nobody_has_to_ask(tmp_path: Path) -> None:
    """A server that has begun puts a change in force, also where nobody asks it for a decision."""
    file = tmp_path / "one.json"
    file.write_text(a_ban("refund"))
    app = create_app(url_of(tmp_path / "plane.db"), policies=str(file))
    tenants = app.extensions["handlebar"]
    try:
        with a_desk(tmp_path / "plane.db") as desk:
            tenants.plane("default").load_policies(budget=30.0)
            assert not desk.may("refund")
            file.write_text(a_ban("search"))
            tenants.start()
            assert eventually(lambda: desk.may("refund") and not desk.may("search"), seconds=SOON)
    finally:
        tenants.close()


def test_making_the_app_starts_nothing(tmp_path: Path) -> None:
    """The process may still fork."""
    others = threads_named("handlebar-")
    (tmp_path / "one.json").write_text(a_ban("refund"))
    create_app(url_of(tmp_path / "plane.db"), policies=str(tmp_path / "one.json"))
    assert [] == [each for each in threads_named("handlebar-") if each not in others]
