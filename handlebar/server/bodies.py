"""Bodies of requests: read up to a limit, parsed once, JSON objects and nothing else."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from flask import Request

from handlebar._plumbing import safe_json
from handlebar.server.fields import Fields
from handlebar.server.problems import ProblemError

MAX_DEPTH = 100
SMALL = 1024 * 1024
LARGE = 8 * 1024 * 1024
"""Of a batch of events, in bytes; everything else may be `SMALL`."""


def read_body(request: Request, *, most_bytes: int) -> Fields:
    """
    Return the JSON object that *request* carries.

    Raises:
        ProblemError: It is too large (413), not said to be JSON (415), or no JSON object (400).
    """
    raw = _raw(request, most_bytes)
    if not request.is_json:
        raise ProblemError(415, "Send the body as application/json", field="content-type")
    return Fields(parse_object(raw))


def read_optional_body(request: Request, *, most_bytes: int) -> Fields:
    """Return the JSON object that *request* carries, an empty one where it carries nothing."""
    return read_body(request, most_bytes=most_bytes) if _raw(request, most_bytes) else Fields({})


def parse_object(raw: bytes) -> dict[str, Any]:
    """Return the JSON object that *raw* is; raises `ProblemError` (400) where it is none."""
    try:
        parsed = _DECODER.decode(raw.decode())
    except (ValueError, RecursionError) as error:
        raise ProblemError(400, "The body is not valid JSON in UTF-8") from error
    if not isinstance(parsed, dict):
        raise ProblemError(400, "The body is not a JSON object")
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _is_deep(parsed):
        raise ProblemError(400, f"The body is nested deeper than {MAX_DEPTH} levels")
    return _whole(parsed) if rb"\u" in raw else parsed


def _raw(request: Request, most_bytes: int) -> bytes:
    request.max_content_length = most_bytes
    return request.get_data()


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


_DECODER = json.JSONDecoder(parse_constant=_refuse)


def _is_deep(value: object) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for each in level for inner in _parts(each)]
        if not level:
            return False
    return True


def _parts(value: object) -> list[object]:
    if isinstance(value, dict):
        return [each for each in value.values() if isinstance(each, (dict, list))]
    return [each for each in value if isinstance(each, (dict, list))] if isinstance(value, list) else []


def _whole(parsed: dict[str, Any]) -> dict[str, Any]:
    """Replace halves of surrogate pairs: a text cut between them is no reason to leave a call undecided."""
    try:
        safe_json.dumps(parsed).encode()
    except ValueError:
        plain: dict[str, Any] = safe_json.plain(parsed)
        return plain
    return parsed
