"""Text for terminals."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlebar.cli.texts import safe, show_table, shown


@given(st.text(st.characters(exclude_categories=[])))
def test_what_is_shown_is_visible(text: str) -> None:
    """Of any text nothing is left that a terminal would act on; what is visible stays as it is."""
    assert safe(text).isprintable()
    visible = "".join(each for each in text if each.isprintable())
    assert visible == safe(visible)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (7, "7"),
        (("a", "b\n"), r"a, b\n"),
        ("\x1b[31m\u202e\ud800", r"\x1b[31m\u202e\ud800"),
        ("grün 日本 [red]", "grün 日本 [red]"),
        (datetime(2026, 7, 1, 12, tzinfo=timezone(timedelta(hours=2))), "2026-07-01 10:00:00Z"),
    ],
)
def test_values_on_one_line(value: object, text: str) -> None:
    """Each kind of value is shown on one line."""
    assert text == shown(value)


def test_a_table_is_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    """Columns are as wide as their widest cell; what is endless is cut."""
    show_table(("a", "long"), [("xyz", None), ("x", "y" * 1000)], empty="nothing")
    header, first, second = capsys.readouterr().out.splitlines()
    assert ("A    LONG", "xyz  -") == (header, first)
    assert (205, "…") == (len(second), second[-1])
