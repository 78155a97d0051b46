"""Slugs of names, and for agents that were given none."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlebar.core.slugs import generate_slug, slugified


def test_the_same_directory_gives_the_same_slug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process in the same place is the same agent."""
    monkeypatch.chdir(tmp_path)
    script = "from handlebar.core.slugs import generate_slug; print(generate_slug(), end='')"
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60, env={"PYTHONPATH": root}
    )
    assert generate_slug() == generate_slug() == done.stdout


def test_directories_have_slugs_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slugs are words and six digits, differ, and do not tell the directory's name."""
    slugs = set()
    for number in range(50):
        place = tmp_path / f"zebra{number}"
        place.mkdir()
        monkeypatch.chdir(place)
        slugs.add(generate_slug())
    assert 50 == len(slugs)
    assert all(re.fullmatch(r"[a-z]+-[a-z]+-[0-9a-f]{6}", slug) for slug in slugs)
    assert not any("zebra" in slug for slug in slugs)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("refund", "refund"),
        ("Refund Order", "refund-order"),
        ("look_up", "look_up"),
        ("  a -- b!! ", "a-b"),
        ("Größe", "größe"),
        ("a.b/c", "a-b-c"),
        ("!!!", "tool"),
        ("", "tool"),
    ],
)
def test_slugs_of_names(name: str, expected: str) -> None:
    """Lower case, one dash in the place of all that is no word, and never nothing."""
    assert expected == slugified(name)


@given(st.text())
def test_a_slug_is_its_own_slug(name: str) -> None:
    """Any name gives words joined by single dashes, and slugging that again changes nothing."""
    slug = slugified(name)
    assert re.fullmatch(r"\w+(-\w+)*", slug)
    assert slug == slugified(slug)
