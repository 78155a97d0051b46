"""JSON that comes from strangers: parsed as the standard says, within a depth, and text that can be stored."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from handlebar._plumbing import safe_json


class MalformedJsonError(ValueError):
    """It is not JSON in UTF-8."""


class DeepJsonError(ValueError):
    """It is nested deeper than is allowed."""


def parse(raw: bytes, *, most_levels: int) -> Any:
    """
    Return the value that *raw* is.

    Halves of surrogate pairs, which no database and no answer can hold, are replaced: a text cut between them is no
    reason to leave a call undecided.

    Raises:
        MalformedJsonError: It is none, or holds NaN or Infinity.

        DeepJsonError: It has more than *most_levels* levels of objects and lists.
    """
    try:
        parsed = _DECODER.decode(raw.decode())
    except (ValueError, RecursionError) as error:
        raise MalformedJsonError from error
    if raw.count(b"[") + raw.count(b"{") > most_levels and _is_deep(parsed, most_levels):
        raise DeepJsonError
    return _whole(parsed) if rb"\u" in raw else parsed


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


_DECODER = json.JSONDecoder(parse_constant=_refuse)


def _is_deep(value: object, most_levels: int) -> bool:
    level = [value]
    for _ in range(most_levels):
        level = [inner for each in level for inner in _containers(each)]
        if not level:
            return False
    return True


def _containers(value: object) -> list[object]:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [each for each in parts if isinstance(each, (dict, list))]


def _whole(parsed: Any) -> Any:
    try:
        safe_json.dumps(parsed).encode()
    except ValueError:
        return safe_json.plain(parsed)
    return parsed
