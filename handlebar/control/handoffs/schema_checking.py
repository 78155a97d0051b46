"""
Checks against JSON Schemas that strangers wrote: no request goes out, no regex backtracks, no schema takes for ever.

The keywords are those of the `jsonschema` library, each counted, but for three that could take more than linear time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import cache, partial
from typing import Any

from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import SchemaError, ValidationError
from referencing import Registry
from referencing.exceptions import NoSuchResource, Unresolvable
from referencing.jsonschema import DRAFT202012, specification_with

from handlebar.policy.regexes import compiled

MOST_STEPS = 200_000
"""So many keywords are applied at most; then the schema is said to take too long."""

_LONGEST_WORDS = 300
_COUNTED: ContextVar[list[int]] = ContextVar("handlebar_schema_steps")
_NOTHING: Registry[Any] = Registry()


class TooLongError(Exception):
    """A check took more steps than it may."""


def fault_in(schema: Mapping[str, Any]) -> str | None:
    """Return what is wrong with a schema; None where it can be worked with."""
    try:
        _kind_of(schema).check_schema(schema)
        for part in _parts(schema):
            _check_patterns(part)
            _check_reference(schema, part)
    except SchemaError as error:
        return _words(error)
    except ValueError as error:
        return str(error)
    except RecursionError:
        return "it is nested too deep"
    return None


def problem_in(schema: Mapping[str, Any], value: Any) -> str | None:
    """Return what is wrong with *value*, the first thing that is found; None where it is as the schema says."""
    token = _COUNTED.set([0])
    try:
        validator = _bounded(_kind_of(schema))(schema, registry=_NOTHING)
        error = next(validator.iter_errors(value), None)
    except TooLongError:
        return "the check would take too long"
    except (RecursionError, Unresolvable, ValueError) as fault:
        return f"the schema cannot be followed ({type(fault).__name__})"
    finally:
        _COUNTED.reset(token)
    return None if error is None else _words(error)


def _kind_of(schema: Mapping[str, Any]) -> Any:
    return validators.validator_for(schema, default=Draft202012Validator)


@cache
def _bounded(kind: Any) -> Any:
    """Return a kind of validator with every keyword counted."""
    ours = {"pattern": _pattern, "patternProperties": _pattern_properties, "uniqueItems": _unique_items}
    known = {name: ours.get(name, keyword) for name, keyword in kind.VALIDATORS.items()}
    counted = {name: partial(_counted, keyword) for name, keyword in known.items()}
    # Typed in some versions of its stubs only.
    extend: Any = validators.extend
    return extend(kind, counted)


def _counted(keyword: Callable[..., Any], validator: Any, said: Any, value: Any, schema: Any) -> Any:
    steps = _COUNTED.get()
    # What is compared with a list, is compared with each of it.
    steps[0] += 1 + (len(said) if isinstance(said, list) else 0)
    if steps[0] > MOST_STEPS:
        raise TooLongError
    return keyword(validator, said, value, schema)


def _pattern(validator: Any, said: str, value: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(value, str) and not compiled(said).search(value):
        yield ValidationError(f"the text does not match {said!r}")


def _pattern_properties(validator: Any, said: Mapping[str, Any], value: Any, schema: Any) -> Iterator[ValidationError]:
    if not isinstance(value, dict):
        return
    for pattern, below in said.items():
        fits = compiled(pattern)
        for name, part in value.items():
            if fits.search(name):
                yield from validator.descend(part, below, path=name, schema_path=pattern)


def _unique_items(validator: Any, said: bool, value: Any, schema: Any) -> Iterator[ValidationError]:
    if said and isinstance(value, list) and len(set(map(_as_text, value))) < len(value):
        yield ValidationError("the items are not all different")


def _as_text(value: Any) -> str:
    """Return a text that is equal for equal JSON: 1.0 is 1, the order of members says nothing."""
    return json.dumps(_with_whole_numbers(value), sort_keys=True)


def _with_whole_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _with_whole_numbers(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_with_whole_numbers(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _parts(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every object within a schema."""
    if isinstance(value, dict):
        yield value
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in below:
        yield from _parts(part)


def _check_patterns(part: Mapping[str, Any]) -> None:
    """Raise ValueError where a regex is none, or one that could backtrack."""
    patterns = [part.get("pattern"), *(part.get("patternProperties") or {})]
    for pattern in patterns:
        if isinstance(pattern, str):
            try:
                compiled(pattern)
            except ValueError as error:
                raise ValueError(f"the pattern {pattern!r} cannot be used: {error}") from error


def _check_reference(schema: Mapping[str, Any], part: Mapping[str, Any]) -> None:
    """Raise ValueError where a reference leads out of the schema, or nowhere."""
    reference = part.get("$ref")
    if not isinstance(reference, str):
        return
    kind = specification_with(str(schema.get("$schema", "")), default=DRAFT202012)
    resolver = Registry().with_resource("", kind.create_resource(schema)).resolver()
    try:
        resolver.lookup(reference)
    except (Unresolvable, NoSuchResource) as error:
        raise ValueError(f"the reference {reference!r} leads nowhere within the schema") from error


def _words(error: Any) -> str:
    """Say what is wrong, and where."""
    place = ".".join(str(each) for each in error.absolute_path)
    text = error.message if len(error.message) <= _LONGEST_WORDS else f"{error.message[:_LONGEST_WORDS]}…"
    return f"{place}: {text}" if place else str(text)
