"""Values that are encoded once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlebar.core.measuring import Measured, approx_bytes, approx_records

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=15,
)


@given(json_values)
def test_size_is_the_utf8_length_of_the_json(value: object) -> None:
    """`bytes_*` is what the value takes as compact JSON in UTF-8."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    assert len(text.encode()) == Measured.of(value).size == approx_bytes(value)


@given(json_values)
def test_the_value_comes_back(value: object) -> None:
    """What was measured can be looked at, each time as a value of its own."""
    measured = Measured.of(value)
    assert value == measured.value()
    if isinstance(value, (dict, list)):
        assert measured.value() is not measured.value()


@pytest.mark.parametrize("value", [object(), {1, 2}, float("nan"), "\ud800", b"\xff", {("a",): 1}, [[[]]] * 3])
def test_what_json_does_not_know_is_measured_all_the_same(value: object) -> None:
    """Every value has a size, the size of what is sent in its place."""
    assert len(Measured.of(value).text.encode()) == approx_bytes(value)


def test_later_changes_do_not_reach_it() -> None:
    """A tool that changes its arguments does not change what was decided on."""
    args = {"ids": [1]}
    measured = Measured.of(args)
    args["ids"].append(2)
    assert {"ids": [1]} == measured.value()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, 0),
        ([], 0),
        ([1, 2], 2),
        ((1, 2, 3), 3),
        ({"records": [1, 2]}, 2),
        ({"items": (1,), "count": 9}, 1),
        ({"records": "no list", "items": [1, 2, 3]}, 3),
        ({"count": 7}, 7),
        ({"count": True}, None),
        ({"count": "7"}, None),
        ({}, None),
        ("text", None),
        (5, None),
        ({1, 2}, None),
    ],
)
def test_records(value: Any, expected: int | None) -> None:
    """Lists count their items, dicts say what they hold, and of all else nobody can tell."""
    assert expected == approx_records(value)
