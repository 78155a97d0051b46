"""Checks at the door: attrs validators and converters that name the field, the value and what is allowed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from attrs import Attribute

from handlebar.errors import ConfigError

Validator = Callable[[Any, "Attribute[Any]", Any], None]
"""What attrs calls with (instance, attribute, value) before an object is finished."""


def where(instance: Any, attribute: Attribute[Any]) -> str:
    """Name a field as the user knows it, e.g. `AgentDescriptor.slug`."""
    return f"{type(instance).__name__}.{attribute.name}"


def optional(check: Validator) -> Validator:
    """Allow None beside what *check* allows."""

    def check_unless_none(instance: Any, attribute: Attribute[Any], value: Any) -> None:
        if value is not None:
            check(instance, attribute, value)

    return check_unless_none


def one_of(allowed: Collection[str]) -> Validator:
    """Allow the words *allowed*, spelled exactly so."""
    words = ", ".join(repr(word) for word in allowed)

    def check(instance: Any, attribute: Attribute[Any], value: Any) -> None:
        if not isinstance(value, str) or value not in allowed:
            raise ConfigError(where(instance, attribute), value, f"one of {words}")

    return check


def instance_of(kind: type | tuple[type, ...], words: str) -> Validator:
    """Allow instances of *kind*, which *words* describe."""

    def check(instance: Any, attribute: Attribute[Any], value: Any) -> None:
        if not isinstance(value, kind):
            raise ConfigError(where(instance, attribute), value, words)

    return check


def number(*, above: float | None = None, at_least: float | None = None) -> Validator:
    """Allow finite numbers (no bool) within the bound."""
    bound = f" above {above}" if above is not None else ""
    bound += f" of at least {at_least}" if at_least is not None else ""

    def check(instance: Any, attribute: Attribute[Any], value: Any) -> None:
        good = isinstance(value, (int, float)) and not isinstance(value, bool)
        good = good and abs(value) != float("inf") and value == value
        if not good or (above is not None and value <= above) or (at_least is not None and value < at_least):
            raise ConfigError(where(instance, attribute), value, f"a number{bound}")

    return check


def whole_number(*, at_least: int) -> Validator:
    """Allow whole numbers (no bool) of at least *at_least*."""

    def check(instance: Any, attribute: Attribute[Any], value: Any) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or value < at_least:
            raise ConfigError(where(instance, attribute), value, f"a whole number of at least {at_least}")

    return check


text = instance_of(str, "a str")
"""Allow any string."""

truth = instance_of(bool, "True or False")
"""Allow the two booleans, nothing that is merely truthy."""


def callable_(instance: Any, attribute: Attribute[Any], value: Any) -> None:
    """Allow anything that can be called."""
    if not callable(value):
        raise ConfigError(where(instance, attribute), value, "a callable")


def filled_text(instance: Any, attribute: Attribute[Any], value: Any) -> None:
    """Allow strings that hold more than white space."""
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(where(instance, attribute), value, "a str that is not empty")


def at_most(most: int) -> Validator:
    """Allow texts of at most *most* characters."""

    def check(instance: Any, attribute: Attribute[Any], value: Any) -> None:
        if len(value) > most:
            raise ConfigError(where(instance, attribute), f"({len(value)} characters)", f"at most {most} characters")

    return check


def secret(instance: Any, attribute: Attribute[Any], value: Any) -> None:
    """Allow strings that are not empty; say nothing of the value, it may be a key with a slip in it."""
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(where(instance, attribute), "(hidden)", "a str that is not empty")


def texts(instance: Any, attribute: Attribute[Any], value: Any) -> None:
    """Allow tuples of strings (run `tuple_of` over the input first)."""
    if not isinstance(value, tuple) or not all(isinstance(item, str) for item in value):
        raise ConfigError(where(instance, attribute), value, "a list of str")


def text_by_text(instance: Any, attribute: Attribute[Any], value: Any) -> None:
    """Allow mappings from str to str."""
    good = isinstance(value, Mapping)
    if not good or not all(isinstance(k, str) and isinstance(v, str) for k, v in value.items()):
        raise ConfigError(where(instance, attribute), value, "a dict of str to str")


def tuple_of(value: Any) -> Any:
    """Freeze lists and other collections into tuples; leave what is no collection to the validator."""
    return tuple(value) if isinstance(value, (list, tuple, set, frozenset)) else value


def tuple_or_none(value: Any) -> Any:
    """Freeze like `tuple_of`, None for None."""
    return None if value is None else tuple_of(value)
