"""JSON that comes from strangers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlebar._plumbing.strict_json import DeepJsonError, MalformedJsonError, parse

VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(VALUES)
def test_what_is_json_is_read_as_it_is(value: Any) -> None:
    """Whether its text is escaped or not."""
    for ascii_only in (True, False):
        assert value == parse(json.dumps(value, ensure_ascii=ascii_only).encode(), most_levels=100)


@given(st.binary())
def test_what_is_not_is_refused_and_nothing_else_is_raised(raw: bytes) -> None:
    """Any bytes at all."""
    try:
        json.dumps(parse(raw, most_levels=3), ensure_ascii=False).encode()
    except (MalformedJsonError, DeepJsonError):
        pass


@pytest.mark.parametrize("raw", [b"", b"NaN", b'{"a": Infinity}', b"\xff", b"[" * 200_000, b"1" * 10_000])
def test_what_python_would_take_and_the_standard_does_not(raw: bytes) -> None:
    """Nor what Python itself stumbles over."""
    with pytest.raises(MalformedJsonError):
        parse(raw, most_levels=100)


def test_depth_is_counted_exactly() -> None:
    """Brackets within text are no levels."""
    assert [[["[[[["]]] == parse(b'[[["[[[["]]]', most_levels=3)
    with pytest.raises(DeepJsonError):
        parse(b"[[[[]]]]", most_levels=3)


def test_halves_of_surrogate_pairs_are_replaced() -> None:
    """So that the text can be stored, and sent on."""
    assert isinstance(parse(rb'{"a": "\ud800"}', most_levels=3)["a"].encode(), bytes)
