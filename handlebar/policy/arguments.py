"""Conditions on a call's arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from handlebar.core.schema.rules import ToolArgCondition
from handlebar.policy.answers import Test, sure
from handlebar.policy.comparing import is_number, number_test, text_test

ABSENT: Any = object()
"""Stands for an argument that is not there; None is one that is."""


def reader(path: str) -> Callable[[Any], Any]:
    """Return a function that finds what lies at the dot-*path*: names of objects, positions in lists."""
    steps = tuple(path.split("."))

    def read(value: Any) -> Any:
        for step in steps:
            value = _below(value, step)
        return value

    return read


def argument_test(condition: ToolArgCondition) -> Test:
    """Compile a condition on an argument; one that is missing or of another type never meets it."""
    if condition.op in _PRESENCE:
        return _presence_test(reader(condition.path or ""), wanted=_PRESENCE[condition.op])
    test = _VALUE_TESTS[condition.type or ""](condition)
    if condition.path is None:
        return sure(lambda call: any(test(text) for text in texts_in(call.args)))
    read = reader(condition.path)
    return sure(lambda call: test(read(call.args)))


def texts_in(value: Any) -> Iterator[str]:
    """Yield every text in *value*, at any depth; names of objects are no texts."""
    return (leaf for leaf in leaves_in(value) if isinstance(leaf, str))


def leaves_in(value: Any) -> Iterator[Any]:
    """Yield whatever in *value* is neither object nor list, at any depth."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            waiting.extend(part.values())
        elif isinstance(part, (list, tuple)):
            waiting.extend(part)
        else:
            yield part


def _below(value: Any, step: str) -> Any:
    if isinstance(value, dict):
        return value.get(step, ABSENT)
    if isinstance(value, (list, tuple)) and step.isdecimal() and step.isascii():
        return _at(value, step)
    return ABSENT


def _at(items: list[Any] | tuple[Any, ...], step: str) -> Any:
    # As long a number as a rule may hold is not always one that Python is willing to read.
    position = int(step) if len(step) < 10 else len(items)
    return items[position] if position < len(items) else ABSENT


def _presence_test(read: Callable[[Any], Any], *, wanted: bool) -> Test:
    return sure(lambda call: (read(call.args) is not ABSENT) is wanted)


def _string_test(condition: ToolArgCondition) -> Callable[[Any], bool]:
    test = text_test(condition.op, condition.value)
    return lambda value: isinstance(value, str) and test(value)


def _number_test(condition: ToolArgCondition) -> Callable[[Any], bool]:
    wanted: Any = condition.value
    test = number_test(condition.op, wanted)
    return lambda value: is_number(value) and test(value)


def _boolean_test(condition: ToolArgCondition) -> Callable[[Any], bool]:
    wanted = condition.value
    return lambda value: isinstance(value, bool) and value is wanted


_PRESENCE = {"exists": True, "notExists": False}
_VALUE_TESTS = {"string": _string_test, "number": _number_test, "boolean": _boolean_test}
