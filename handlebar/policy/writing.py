"""Policies in the form they have on the wire and in files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from handlebar.core.schema.rules import Policy


def policy_to_dict(policy: Policy) -> dict[str, Any]:
    """
    Return *policy* as plain values with the names of the wire; what is absent is left out.

    Loading the result gives an equal policy.
    """
    return _record(policy)


def _plain(value: Any) -> Any:
    if attrs.has(type(value)):
        return _record(value)
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return value


def _record(value: Any) -> dict[str, Any]:
    kind = {"kind": value.kind} if isinstance(vars(type(value)).get("kind"), str) else {}
    fields = attrs.fields(type(value))
    said = [field for field in fields if not _is_absent(field, getattr(value, field.name))]
    return {**kind, **{_key(field.name): _plain(getattr(value, field.name)) for field in said}}


def _is_absent(field: Any, value: Any) -> bool:
    """Tell whether *value* is what a key that was left out gives."""
    return value == field.default and value in (None, (), "anyOf")


def _key(name: str) -> str:
    first, *others = name.rstrip("_").split("_")
    return first + "".join(word.capitalize() for word in others)
