"""attrs classes as JSON objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from handlebar._plumbing.converters import camel_case, wire_converter


@frozen
class _Part:
    in_: int
    long_name: str | None = None


@frozen
class _Whole:
    kind: ClassVar[str] = "whole"
    first_part: _Part
    parts: tuple[_Part, ...] = ()
    words: Mapping[str, Any] | None = None


wholes = st.builds(
    _Whole,
    st.builds(_Part, st.integers(), st.none() | st.text()),
    st.lists(st.builds(_Part, st.integers()), max_size=3).map(tuple),
    st.none() | st.dictionaries(st.text(), st.integers() | st.none(), max_size=3),
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("slug", "slug"), ("tool_name", "toolName"), ("in_", "in"), ("hitl_action_id", "hitlActionId"), ("_own", "own")],
)
def test_names_on_the_wire(name: str, expected: str) -> None:
    """Names are spelled in camel case, without the underscores that Python needed."""
    assert expected == camel_case(name)


def test_kind_comes_first_and_what_is_absent_is_left_out() -> None:
    """An object on the wire begins with its kind, and has no null for what is not there."""
    written = wire_converter().unstructure(_Whole(_Part(1)))
    assert {"kind": "whole", "firstPart": {"in": 1}, "parts": []} == {**written, "parts": list(written["parts"])}
    assert "kind" == next(iter(written))


@given(wholes)
def test_what_is_written_can_be_read(whole: _Whole) -> None:
    """Writing and reading gives an equal object."""
    converter = wire_converter()
    assert whole == converter.structure(converter.unstructure(whole), _Whole)


@given(wholes, st.dictionaries(st.text(), st.integers(), max_size=3))
def test_unknown_keys_and_nulls_do_no_harm(whole: _Whole, more: dict[str, int]) -> None:
    """What a later version adds is ignored, and null is as good as absent."""
    converter = wire_converter()
    written = converter.unstructure(whole)
    nulls = {key: None for key in ("parts", "words") if not written.get(key)}
    unknown = {f"x-{key}": value for key, value in more.items()}
    read = converter.structure({**unknown, **written, **nulls}, _Whole)
    assert whole.first_part == read.first_part
    assert whole.parts == read.parts
    assert (whole.words or None) == (read.words or None)


@pytest.mark.parametrize("value", [None, 1, "text", [], [["firstPart", {}]]])
def test_what_is_no_object_is_refused(value: object) -> None:
    """Where the wire promises an object, nothing else is taken for one."""
    with pytest.raises(TypeError, match="JSON object"):
        wire_converter().structure(value, _Whole)


def test_a_part_that_is_missing_is_an_error() -> None:
    """Null does not stand for what must be there."""
    with pytest.raises(Exception, match=r"firstPart|first_part"):
        wire_converter().structure({"firstPart": None}, _Whole)
