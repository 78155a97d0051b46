"""Values to and from JSON, strictly."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import Any, Union
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlebar._plumbing.strict_converters import MisfitError, iso, strict_converter


class _Word(str, Enum):
    """What all enumerations derive from."""


class _Colour(_Word):
    RED = "red"
    BLUE = "blue"


CONVERTER = strict_converter(_Word)
Choice = Union[str, list[Any], dict[str, Any]]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (str, "text"),
        (bool, True),
        (int, 5),
        (float, 5),
        (float, 0.5),
        (list[int], [1, 2]),
        (dict[str, int], {"a": 1}),
        (Choice, ["x", 1]),
        (str | None, None),
    ],
)
def test_what_fits_stays(kind: Any, value: Any) -> None:
    """It comes back as it is."""
    assert value == CONVERTER.structure(value, kind)


@pytest.mark.parametrize(
    ("kind", "value", "path"),
    [
        (str, 5, ()),
        (str, None, ()),
        (bool, 1, ()),
        (int, True, ()),
        (int, 1.0, ()),
        (float, "1", ()),
        (float, False, ()),
        (list[int], "12", ()),
        (list[int], {1: 2}, ()),
        (list[int], [1, "2"], ("1",)),
        (dict[str, list[int]], {"a": [1, None]}, ("a", "1")),
        (dict[str, int], {1: 1}, ()),
        (dict[str, int], [], ()),
        (Choice, 5, ()),
        (_Colour, "green", ()),
        (_Colour, ["red"], ()),
        (UUID, "x", ()),
        (UUID, 5, ()),
        (datetime, 5, ()),
        (datetime, "2026-02-30", ()),
        (datetime | None, "soon", ()),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(kind: Any, value: Any, path: tuple[str, ...]) -> None:
    """Nothing is turned into what it is not."""
    with pytest.raises(MisfitError, match="needs") as misfit:
        CONVERTER.structure(value, kind)
    assert path == misfit.value.path


def test_words() -> None:
    """An enumeration that is a str is read from its words, and written as one."""
    assert _Colour.RED is CONVERTER.structure("red", _Colour)
    written = CONVERTER.unstructure(_Colour.RED, _Colour)
    assert ("red", str) == (written, type(written))


@given(
    st.datetimes(
        timezones=st.none() | st.integers(-23 * 60, 23 * 60).map(lambda each: timezone(timedelta(minutes=each)))
    )
)
def test_times_survive(moment: datetime) -> None:
    """What is written is read again; what has no zone is in UTC."""
    expected = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    read = CONVERTER.structure(iso(moment), datetime)
    assert (expected, expected.utcoffset()) == (read, read.utcoffset())


@given(st.text() | st.from_regex(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?(Z|[+-]\d\d:?\d\d)?", fullmatch=True))
def test_any_text_is_a_time_or_a_misfit(text: str) -> None:
    """Nothing else is raised."""
    try:
        read = CONVERTER.structure(text, datetime)
    except MisfitError:
        return
    assert read.utcoffset() is not None
