"""Bodies of calls: parsed once, within limits, JSON objects and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from handlebar._plumbing import strict_json
from handlebar.control.handoffs.problems import ProblemError, misfit
from handlebar.handoff.exceptions import ValidationError
from handlebar.handoff.models.base import Model

M = TypeVar("M", bound=Model)

MOST_BYTES = 1024 * 1024
MOST_LEVELS = 50
"""Less than `safe_json.MAX_DEPTH`: what is taken is kept in its shape, and handed out within lists of packets."""


def read_object(raw: bytes | None) -> dict[str, Any]:
    """
    Return the JSON object that *raw* is.

    Raises:
        ProblemError: It is too large (413), or no JSON object (422).
    """
    if not raw:
        raise misfit(("body",), "A body is needed", kind="missing")
    if len(raw) > MOST_BYTES:
        raise ProblemError(413, f"The body is larger than {MOST_BYTES} bytes", tier="free")
    parsed = _parsed(raw)
    if not isinstance(parsed, dict):
        raise misfit(("body",), "needs an object", kind="model_attributes_type")
    return parsed


def read_as(kind: type[M], members: Mapping[str, Any], *place: str | int) -> M:
    """
    Return *members* as a record.

    Raises:
        ProblemError: They are none (422); the problem names the field, below *place*.
    """
    try:
        return kind.from_dict(members)
    except ValidationError as error:
        field = error.field or ""
        inner = [int(each) if each.isdecimal() else each for each in field.split(".") if each]
        message = error.message.removeprefix(f"{field}: ")
        missing = "missing" if message == "is missing" else "value_error"
        raise misfit((*place, *inner), message, kind=missing, given=_at(members, inner)) from error


def _parsed(raw: bytes) -> Any:
    try:
        return strict_json.parse(raw, most_levels=MOST_LEVELS)
    except strict_json.MalformedJsonError as error:
        raise misfit(("body",), "The body is not valid JSON in UTF-8", kind="json_invalid") from error
    except strict_json.DeepJsonError as error:
        deep = f"The body is nested deeper than {MOST_LEVELS} levels"
        raise misfit(("body",), deep, kind="json_too_deep") from error


def _at(value: Any, place: list[str | int]) -> Any:
    """Return what stands at *place* within *value*; None where nothing does."""
    try:
        for each in place:
            value = value[each]
    except (KeyError, IndexError, TypeError):
        return None
    return value
