"""How one value compares with another."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from handlebar.policy import regexes

TextTest = Callable[[str], bool]


def glob_test(pattern: str) -> TextTest:
    """Return a test for *pattern*, in which only `*` is special; it takes linear time."""
    first, *rest = pattern.split("*")
    if not rest:
        return lambda text: text == pattern
    *middle, last = rest
    if not any(middle):
        return lambda text: _has_ends(text, first, last)
    return lambda text: (
        _has_ends(text, first, last) and _in_order(text, middle, start=len(first), end=len(text) - len(last))
    )


def text_test(op: str, value: Any) -> TextTest:
    """Return a test of a text against *value*, case-sensitive."""
    return _TEXT_TESTS[op](value)


def number_test(op: str, value: float) -> Callable[[float], bool]:
    """Return a test of a number against *value*."""
    compare = _ORDER[op]
    return lambda number: bool(compare(number, value))


def json_test(op: str, value: Any) -> Callable[[Any], bool]:
    """Return a test of any JSON value against *value*; values that have no order are never less or more."""
    if op in _SAMENESS:
        return _SAMENESS[op](value)
    compare = _ORDER[op]
    return lambda other: _have_order(other, value) and bool(compare(other, value))


def is_number(value: object) -> bool:
    """Whether *value* is a JSON number: a boolean is not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _has_ends(text: str, first: str, last: str) -> bool:
    return len(text) >= len(first) + len(last) and text.startswith(first) and text.endswith(last)


def _in_order(text: str, parts: list[str], *, start: int, end: int) -> bool:
    for part in parts:
        found = text.find(part, start, end)
        if found < 0:
            return False
        start = found + len(part)
    return True


def _regex_test(pattern: str) -> TextTest:
    search = regexes.compiled(pattern).search
    # RE2 reads UTF-8, which has no lone surrogates: they must not make a call undecidable.
    return lambda text: search(text.encode("utf-8", "replace")) is not None


def _same(one: object, other: object) -> bool:
    """Equal as JSON has it: `true` is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _one_of(value: object, choices: Any) -> bool:
    return any(_same(value, choice) for choice in choices)


def _have_order(one: object, other: object) -> bool:
    return (is_number(one) and is_number(other)) or (isinstance(one, str) and isinstance(other, str))


_TEXT_TESTS: Mapping[str, Callable[[Any], TextTest]] = {
    "eq": lambda value: lambda text: text == value,
    "neq": lambda value: lambda text: text != value,
    "contains": lambda value: lambda text: value in text,
    "startsWith": lambda value: lambda text: text.startswith(value),
    "endsWith": lambda value: lambda text: text.endswith(value),
    "in": lambda value: frozenset(value).__contains__,
    "regex": _regex_test,
    "glob": glob_test,
}
_ORDER: Mapping[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq,
    "neq": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_SAMENESS: Mapping[str, Callable[[Any], Callable[[Any], bool]]] = {
    "eq": lambda value: lambda other: _same(other, value),
    "neq": lambda value: lambda other: not _same(other, value),
    "in": lambda value: lambda other: _one_of(other, value),
    "nin": lambda value: lambda other: not _one_of(other, value),
}
