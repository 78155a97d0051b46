"""Arguments and results, encoded once: the same bytes are counted, sent and recorded."""

from __future__ import annotations

import json
from typing import Any

from attrs import frozen

from handlebar._plumbing import safe_json

_decode = json.JSONDecoder().raw_decode


@frozen
class Measured:
    """
    A value as JSON text, taken at one moment; later changes to the value do not reach it.

    Attributes:
        text: The value as compact JSON; valid UTF-8, no NaN, bounded in depth.
    """

    text: str

    @classmethod
    def of(cls, value: object) -> Measured:
        """Encode *value*, whatever it is; never raises (see `safe_json.encode`)."""
        return cls(safe_json.encode(value))

    @property
    def size(self) -> int:
        """The number of bytes of the JSON text in UTF-8."""
        return len(self.text) if self.text.isascii() else len(self.text.encode())

    def value(self) -> Any:
        """Return the value as JSON knows it: dict, list, str, int, float, bool, None. A new one each time."""
        return _decode(self.text)[0]


def approx_bytes(value: object) -> int:
    """Return the size of *value* as JSON in UTF-8, in bytes."""
    return Measured.of(value).size


def approx_records(value: object) -> int | None:
    """
    Return how many records *value* holds, None where that cannot be told.

    A list counts its items; a dict counts what is under `records` or `items`, or says so under `count`.
    """
    if value is None:
        return 0
    if isinstance(value, (list, tuple)):
        return len(value)
    if isinstance(value, dict):
        return _records_of_mapping(value)
    return None


def _records_of_mapping(value: dict[Any, Any]) -> int | None:
    for key in ("records", "items"):
        if isinstance(value.get(key), (list, tuple)):
            return len(value[key])
    count = value.get("count")
    return int(count) if isinstance(count, int) and not isinstance(count, bool) else None
