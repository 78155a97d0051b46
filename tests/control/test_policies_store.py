"""Policies in the database: versions, sources, and who sees a change when."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from handlebar.control import open_control_plane
from handlebar.errors import PolicyError
from tests.support.control import a_desk, a_limit, a_policy, a_rule, all_do, url_of, workers


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    return tmp_path / "plane.db"


@pytest.fixture(name="written")
def _written(tmp_path: Path) -> Callable[..., Path]:
    def written(*policies: Any, name: str = "policies.json") -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(policies))
        return path

    return written


def a_ban(tool: str, name: str | None = None) -> Any:
    """Return a policy that blocks one tool."""
    condition = {"kind": "toolName", "op": "eq", "value": tool}
    return a_policy(a_rule(condition, name=f"no {tool}"), name=name or f"ban of {tool}")


def versions(file: Path) -> list[tuple[str, bool]]:
    """Return, of each version in order, the policy's id and whether it is in force."""
    engine = create_engine(url_of(file))
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT policy_id, content FROM policy_versions ORDER BY number")).all()
    engine.dispose()
    return [(policy_id, content is not None) for policy_id, content in rows]


def loaded(file: Path, source: Any, *tools: str, slug: str = "desk") -> list[bool]:
    """Put *source* in force, and return which of *tools* are allowed."""
    with a_desk(file, source=source, slug=slug) as desk:
        return [desk.may(tool) for tool in tools or ("x",)]


def test_what_is_unchanged_makes_no_version(file: Path, written: Callable[..., Path]) -> None:
    """The same file again, keys in another order, makes no second version."""
    assert [False] == loaded(file, written(a_ban("pay")), "pay")
    before = versions(file)
    assert [False] == loaded(file, written(dict(reversed(a_ban("pay").items()))), "pay")
    assert 1 == len(before)
    assert before == versions(file)


def test_what_is_changed_makes_a_version(file: Path, written: Callable[..., Path]) -> None:
    """Of two policies in a file only the changed one gets a new version, which is in force."""
    loaded(file, written(a_ban("pay", "one"), a_ban("look", "two")))
    assert [True, False, False] == loaded(
        file, written(a_ban("close", "one"), a_ban("look", "two")), "pay", "close", "look"
    )
    (one, _), (two, _), (again, _) = versions(file)
    assert one == again != two


def test_what_is_removed_is_taken_back(file: Path, written: Callable[..., Path]) -> None:
    """A policy that its file no longer holds is out of force; put back, it is in force again."""
    both = a_ban("pay"), a_ban("look")
    assert [False, False] == loaded(file, written(*both), "pay", "look")
    assert [False, True] == loaded(file, written(both[0]), "pay", "look")
    assert [False, True] == loaded(file, written(both[0]), "pay", "look")
    assert [False, False] == loaded(file, written(*both), "pay", "look")
    assert [True, True, False, True] == [in_force for _, in_force in versions(file)]


def test_another_source_is_left_alone(file: Path, written: Callable[..., Path]) -> None:
    """What one file, or one agent's config, no longer holds takes back nothing of another's."""
    loaded(file, written(a_ban("pay"), name="a.json"))
    loaded(file, [a_ban("look")], slug="other")
    assert [True, False, False] == loaded(file, [a_ban("close")], "pays", "close", "look", slug="desk")
    assert [False, True, False, False] == loaded(
        file, written(a_ban("open"), name="a.json"), "open", "pay", "look", "close"
    )


def test_a_folder_is_one_source(file: Path, written: Callable[..., Path]) -> None:
    """A file that is gone from a folder takes its policies with it; one that is moved inside changes nothing."""
    gone, moved = written(a_ban("pay"), name="d/a.json"), written(a_ban("look"), name="d/b.json")
    assert [False, False] == loaded(file, moved.parent, "pay", "look")
    gone.unlink()
    moved.rename(moved.with_name("c.json"))
    assert [True, False] == loaded(file, moved.parent, "pay", "look")
    assert 3 == len(versions(file))


def test_no_policies_leave_all_in_force(file: Path) -> None:
    """A client without `policies=` uses what others have put in force."""
    loaded(file, [a_ban("pay")])
    assert [False, True] == loaded(file, None, "pay", "look")


def test_two_sources_may_use_the_same_rule_id(file: Path) -> None:
    """Rules of two agents' configs that bear one id are both in force, and each decides its own tool."""
    one, other = a_ban("pay"), a_ban("look")
    one["rules"][0]["id"] = other["rules"][0]["id"] = "r-1"
    assert [False, True] == loaded(file, [one], "pay", "look")
    assert [False, False] == loaded(file, [other], "pay", "look", slug="other")
    assert [False, False] == loaded(file, [one], "pay", "look")


def test_two_sources_of_one_policy_id(file: Path) -> None:
    """Where two sources hold a policy of one id, the last to be put in force holds, and only that one takes it back."""
    loaded(file, [a_ban("pay", "shared")])
    assert [True, False] == loaded(file, [a_ban("look", "shared")], "pay", "look", slug="other")
    assert [True, False] == loaded(file, None, "pay", "look")


def test_a_problem_is_told_before_anything_is_opened(file: Path) -> None:
    """A policy that cannot be loaded is refused when the plane is made; the database is not touched."""
    with pytest.raises(PolicyError):
        open_control_plane(url_of(file), policies=[a_ban("pay"), {"name": "broken", "rules": "none"}])
    assert not file.exists()


def test_another_plane_sees_the_change_at_its_next_decision(file: Path) -> None:
    """A plane that has decided already goes by what another puts in force from its very next decision."""
    with a_desk(file, a_ban("pay")) as desk:
        assert [False, True] == [desk.may(tool) for tool in ("pay", "look")]
        for tool in ("look", "close", "open"):
            loaded(file, [a_ban(tool)], slug="other")
            assert not desk.may(tool)
        assert [False, True, True] == [desk.may(tool) for tool in ("pay", "look", "close")]


@pytest.mark.slow
def test_another_process_sees_the_change_at_its_next_decision(file: Path) -> None:
    """So does another process; and processes that start with the same policies make one version of them."""
    with workers(3, file, a_policy(a_rule(a_limit(100), tool="refund"))) as crowd:
        assert [1, 1, 1] == all_do(crowd, "race", threads=1, tool="pay")
        assert 1 == len(versions(file))
        loaded(file, [a_ban("pay")], slug="other")
        assert [0, 0, 0] == all_do(crowd, "race", threads=1, tool="pay")
