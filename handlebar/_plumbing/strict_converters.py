"""Values to and from JSON, strictly: nothing becomes what it is not, and what does not fit is told with its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, timezone
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin
from uuid import UUID

import cattrs

from handlebar._plumbing import safe_json

Read = Callable[[Any, Any], Any]
"""What cattrs calls with a value and the type that it should have."""

_TIME = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)([Tt ](?P<minute>\d\d:\d\d)(?P<second>:\d\d)?([.,](?P<fraction>\d+))?)?"
    r"(?P<zone>[Zz]|[+-]\d\d:?\d\d)?",
    re.ASCII,
)


class MisfitError(ValueError):
    """
    A value is not what it should be.

    Attributes:
        path: Where it stands, from the outside in: names of fields, places in lists.

        wanted: What is needed there, as a sentence's end.
    """

    def __init__(self, wanted: str, path: tuple[str, ...] = ()) -> None:
        super().__init__(f"{'.'.join(path)}: {wanted}" if path else wanted)
        self.path = path
        self.wanted = wanted

    def inside(self, place: str) -> MisfitError:
        """Return the same for whoever holds the value at *place*."""
        return MisfitError(self.wanted, (place, *self.path))


def strict_converter(words: type[Enum]) -> cattrs.Converter:
    """
    Make a converter whose reading raises `MisfitError` and nothing else; keep it, threads may share it.

    Times without a zone are in UTC; they are read from text or datetimes, and written as text. What is typed
    as Any is written as plain JSON, whatever it is.

    Args:
        words: The class that all enumerations derive from. Where that is a str too, cattrs would not notice them.
    """
    converter = cattrs.Converter(detailed_validation=False)
    converter.register_structure_hook(str, _plain_reader(str, "needs a text"))
    converter.register_structure_hook(bool, _plain_reader(bool, "needs true or false"))
    converter.register_structure_hook(int, _whole_number)
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook(datetime, _moment)
    converter.register_structure_hook(UUID, _uuid)
    converter.register_structure_hook(words, _word)
    converter.register_structure_hook_factory(_is_list, lambda kind: _list_reader(kind, converter))
    converter.register_structure_hook_factory(_is_mapping, lambda kind: _mapping_reader(kind, converter))
    converter.register_structure_hook_factory(_is_choice, _choice_reader)
    converter.register_unstructure_hook(words, lambda word: word.value)
    converter.register_unstructure_hook(datetime, iso)
    converter.register_unstructure_hook(UUID, str)
    converter.register_unstructure_hook_factory(_is_anything, lambda _: safe_json.plain)
    return converter


def iso(moment: datetime) -> str:
    """Return *moment* in ISO 8601; UTC is `Z`, and so is no zone."""
    return _aware(moment).isoformat().replace("+00:00", "Z")


def _plain_reader(wanted: type, words: str) -> Read:
    def read(value: Any, _: Any) -> Any:
        if not isinstance(value, wanted):
            raise MisfitError(words)
        return value

    return read


def _whole_number(value: Any, _: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise MisfitError("needs a whole number")
    return value


def _number(value: Any, _: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise MisfitError("needs a number")
    return value


def _uuid(value: Any, _: Any) -> UUID:
    try:
        return value if isinstance(value, UUID) else UUID(value)
    except (ValueError, AttributeError, TypeError) as error:
        raise MisfitError("needs a UUID") from error


def _moment(value: Any, _: Any) -> datetime:
    if isinstance(value, datetime):
        return _aware(value)
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    try:
        return _aware(_read_time(found))
    except (ValueError, TypeError) as error:
        raise MisfitError("needs a time in ISO 8601") from error


def _read_time(found: re.Match[str] | None) -> datetime:
    if found is None:
        raise ValueError
    if found["minute"] is None:
        day = date.fromisoformat(found["day"])
        return datetime(day.year, day.month, day.day)  # the caller makes it aware
    # Python 3.10 reads neither Z nor fractions of any other length.
    fraction = (found["fraction"] or "").ljust(6, "0")[:6]
    zone = re.sub("^[Zz]$", "+00:00", found["zone"] or "")
    zone = zone if not zone or ":" in zone else f"{zone[:3]}:{zone[3:]}"
    return datetime.fromisoformat(f"{found['day']}T{found['minute']}{found['second'] or ':00'}.{fraction}{zone}")


def _aware(moment: datetime) -> datetime:
    return moment if moment.utcoffset() is not None else moment.replace(tzinfo=timezone.utc)


def _word(value: Any, kind: type[Enum]) -> Enum:
    try:
        return kind(value)
    except ValueError as error:
        raise MisfitError(f"needs one of {', '.join(repr(each.value) for each in kind)}") from error


def _is_list(kind: Any) -> bool:
    return get_origin(kind) is list


def _list_reader(kind: Any, converter: cattrs.Converter) -> Read:
    (part,) = get_args(kind)

    def read(value: Any, _: Any) -> list[Any]:
        if not isinstance(value, (list, tuple)):
            raise MisfitError("needs a list")
        return [_read_inside(converter, str(place), each, part) for place, each in enumerate(value)]

    return read


def _is_mapping(kind: Any) -> bool:
    return get_origin(kind) is dict


def _mapping_reader(kind: Any, converter: cattrs.Converter) -> Read:
    _, part = get_args(kind)

    def read(value: Any, _: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise MisfitError("needs an object")
        return {key: _read_inside(converter, key, each, part) for key, each in value.items()}

    return read


def _read_inside(converter: cattrs.Converter, place: str, value: Any, kind: Any) -> Any:
    try:
        return converter.structure(value, kind)
    except MisfitError as misfit:
        raise misfit.inside(place) from misfit


def _is_choice(kind: Any) -> bool:
    """Whether *kind* is a union of things that JSON has, and not just one that may be missing."""
    return get_origin(kind) in (Union, UnionType) and NoneType not in get_args(kind)


def _choice_reader(kind: Any) -> Read:
    names = {str: "a text", list: "a list", dict: "an object"}
    choices = tuple(get_origin(each) or each for each in get_args(kind))
    words = "needs " + " or ".join(names.get(each, each.__name__) for each in choices)

    def read(value: Any, _: Any) -> Any:
        if not isinstance(value, choices):
            raise MisfitError(words)
        return value

    return read


def _is_anything(kind: Any) -> bool:
    """Whether values of *kind* may hold anything at all."""
    return kind is Any or _is_choice(kind) or (_is_mapping(kind) and get_args(kind)[1] is Any)
