"""Policy files that change while they are in use."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from handlebar.control import policies
from tests.support.clock import Clock
from tests.support.control import Desk, a_desk, a_policy, a_rule
from tests.support.forks import in_child


def a_ban(tool: str) -> str:
    """Return a file that blocks one tool."""
    return json.dumps(a_policy(a_rule({"kind": "toolName", "op": "eq", "value": tool}), name=f"no {tool}"))


@pytest.fixture(name="clock")
def _clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(policies, "monotonic", clock)
    return clock


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "one.json").write_text(a_ban("refund"))
    return folder


@pytest.fixture(name="desk")
def _desk(tmp_path: Path, folder: Path, clock: Clock) -> Iterator[Desk]:
    with a_desk(tmp_path / "plane.db", source=folder) as desk:
        assert not desk.may("refund")
        yield desk


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[Any]:
    """Return the lines that were logged."""
    return [record.getMessage() for record in caplog.records if record.name == "handlebar"]


def test_a_changed_file_is_in_force(desk: Desk, folder: Path, clock: Clock) -> None:
    """At the next decision after a second, as a new version of its policy."""
    (folder / "one.json").write_text(a_ban("search"))
    clock.now += policies.LOOK_SECONDS
    assert desk.may("refund")
    assert not desk.may("search")


def test_files_that_come_and_go(desk: Desk, folder: Path, clock: Clock) -> None:
    """An added file is in force, and a removed one no more."""
    (folder / "two.yaml").write_text(a_ban("search"))
    clock.now += policies.LOOK_SECONDS
    assert [False, False] == [desk.may(tool) for tool in ("refund", "search")]
    (folder / "one.json").unlink()
    clock.now += policies.LOOK_SECONDS
    assert [True, False] == [desk.may(tool) for tool in ("refund", "search")]


def test_a_broken_file(desk: Desk, folder: Path, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """It leaves everything as it was, and is told once, in the loader's words; mended, it is in force."""
    (folder / "one.json").write_text('{"name": "p", "rules": [{"nmae": 1}]}')
    with caplog.at_level(logging.WARNING, "handlebar"):
        for _ in range(3):
            clock.now += policies.LOOK_SECONDS
            assert not desk.may("refund")
        said = warnings_in(caplog)
        assert 1 == len(said)
        assert "one.json" in said[0]
        assert "nmae" in said[0]
        (folder / "one.json").write_text("{")
        clock.now += policies.LOOK_SECONDS
        assert not desk.may("refund")
        assert 2 == len(warnings_in(caplog))
    (folder / "one.json").write_text(a_ban("search"))
    clock.now += policies.LOOK_SECONDS
    assert desk.may("refund")


def test_a_folder_that_is_gone(desk: Desk, folder: Path, clock: Clock) -> None:
    """What nobody can read takes back no policy."""
    folder.rename(folder.with_name("elsewhere"))
    clock.now += policies.LOOK_SECONDS
    assert not desk.may("refund")
    folder.with_name("elsewhere").rename(folder)
    clock.now += policies.LOOK_SECONDS
    assert not desk.may("refund")


def test_what_is_unchanged_is_not_read_again(desk: Desk, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as no file is another, none is opened."""
    monkeypatch.setattr(policies, "load_policies", None)
    for _ in range(2):
        clock.now += policies.LOOK_SECONDS
        assert not desk.may("refund")


def test_a_late_child_goes_by_what_the_files_hold_then(desk: Desk, folder: Path) -> None:
    """A process that is forked after a change does not put in force what its parent has read before."""
    (folder / "one.json").write_text(a_ban("search"))
    assert "True False" == in_child(lambda: f"{desk.may('refund')} {desk.may('search')}")


def test_what_a_program_has_made_of_its_own_dict_later(tmp_path: Path, folder: Path, clock: Clock) -> None:
    """Values beside files stay what they were when they were given."""
    written = json.loads(a_ban("pay"))
    with a_desk(tmp_path / "plane.db", source=[folder, written]) as desk:
        written["rules"].clear()
        (folder / "one.json").write_text(a_ban("search"))
        clock.now += policies.LOOK_SECONDS
        assert [True, False, False] == [desk.may(tool) for tool in ("refund", "search", "pay")]
