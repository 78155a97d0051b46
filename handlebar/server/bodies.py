"""Bodies of requests: read up to a limit, parsed once, JSON objects and nothing else."""

from __future__ import annotations

from typing import Any

from flask import Request

from handlebar._plumbing import strict_json
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
        parsed = strict_json.parse(raw, most_levels=MAX_DEPTH)
    except strict_json.MalformedJsonError as error:
        raise ProblemError(400, "The body is not valid JSON in UTF-8") from error
    except strict_json.DeepJsonError as error:
        raise ProblemError(400, f"The body is nested deeper than {MAX_DEPTH} levels") from error
    if not isinstance(parsed, dict):
        raise ProblemError(400, "The body is not a JSON object")
    return parsed


def _raw(request: Request, most_bytes: int) -> bytes:
    request.max_content_length = most_bytes
    return request.get_data()
