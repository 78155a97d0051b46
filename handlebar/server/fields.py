"""Reading JSON objects member by member; what is wrong is told with its place, and nothing raises anything else."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Mapping
from datetime import datetime, timezone
from typing import Any

from handlebar.server.problems import malformed

_TIME = re.compile(
    r"(?P<second>(?!0000)[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9])"
    r"(\.(?P<fraction>[0-9]+))?(?P<zone>Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
)
_A_TIME = "a time in ISO 8601 with a time zone"
_EXACT = 2**53
_LARGEST = sys.float_info.max


class Fields:
    """
    A JSON object that is being read: null and absent mean the same, members that nobody asks for are ignored.

    Every method raises `ProblemError` (400) where a member is not what is asked for.

    Args:
        members: The object.

        place: Where it stands in the body; empty for the body itself.
    """

    def __init__(self, members: Mapping[str, Any], place: str = "") -> None:
        self._members = members
        self._place = place

    def value(self, name: str) -> Any:
        """Return whatever stands there, None where nothing does."""
        return self._members.get(name)

    def text(self, name: str) -> str:
        """Return text that holds more than white space."""
        value = self.value(name)
        if not isinstance(value, str) or not value.strip():
            raise malformed(self.place_of(name), "a string that is not empty")
        return value

    def any_text(self, name: str) -> str:
        """Return text, which may be empty."""
        value = self.text_or_none(name)
        if value is None:
            raise malformed(self.place_of(name), "a string")
        return value

    def text_or_none(self, name: str) -> str | None:
        """Return text, which may be empty, or be missing."""
        value = self.value(name)
        if value is not None and not isinstance(value, str):
            raise malformed(self.place_of(name), "a string")
        return value

    def truth(self, name: str) -> bool:
        """Return true or false; false where it is missing."""
        value = self.value(name)
        if not isinstance(value, (bool, type(None))):
            raise malformed(self.place_of(name), "true or false")
        return bool(value)

    def word(self, name: str, allowed: Collection[str]) -> Any:
        """Return one of the words *allowed*."""
        value = self.value(name)
        if not isinstance(value, str) or value not in allowed:
            raise malformed(self.place_of(name), f"one of {', '.join(map(repr, allowed))}")
        return value

    def time(self, name: str) -> str:
        """Return a time in ISO 8601 with a time zone, as it is written."""
        return self._time(name)[0]

    def moment_or_none(self, name: str) -> datetime | None:
        """Return such a time in UTC, None where it is missing."""
        if self.value(name) is None:
            return None
        found = self._time(name)
        # Python 3.10 reads neither Z nor fractions of any other length.
        fraction, zone = (found["fraction"] or "").ljust(6, "0")[:6], found["zone"].replace("Z", "+00:00")
        try:
            return datetime.fromisoformat(f"{found['second']}.{fraction}{zone}").astimezone(timezone.utc)
        except (ValueError, OverflowError) as error:  # the thirty-first of February; the end of all years
            raise malformed(self.place_of(name), _A_TIME) from error

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of strings; none where it is missing."""
        value = self._list(name)
        if not all(isinstance(each, str) for each in value):
            raise malformed(self.place_of(name), "a list of strings")
        return tuple(value)

    def texts_by_name(self, name: str) -> dict[str, str]:
        """Return an object whose values are strings; an empty one where it is missing."""
        value = self._object(name)
        if not all(isinstance(each, str) for each in value.values()):
            raise malformed(self.place_of(name), "an object with strings as values")
        return dict(value)

    def numbers_by_name(self, name: str) -> dict[str, float]:
        """Return an object whose values are finite numbers; an empty one where it is missing."""
        value = self._object(name)
        if not all(_is_number(each) for each in value.values()):
            raise malformed(self.place_of(name), "an object with finite numbers as values")
        # A whole number that no column holds is kept as nearly as a float can.
        return {key: each if abs(each) <= _EXACT else float(each) for key, each in value.items()}

    def amount_or_none(self, name: str) -> float | None:
        """Return a number above 0, or None where it is missing."""
        value = self.value(name)
        if value is not None and not (_is_number(value) and value > 0):
            raise malformed(self.place_of(name), "a number above 0")
        return None if value is None else float(value)

    def part(self, name: str) -> Fields:
        """Return the object that stands there; an empty one where it is missing."""
        return Fields(self._object(name), self.place_of(name))

    def part_or_none(self, name: str) -> Fields | None:
        """Return the object that stands there, None where it is missing."""
        return None if self.value(name) is None else self.part(name)

    def parts(self, name: str) -> list[Fields]:
        """Return a list of objects; none where it is missing."""
        place = self.place_of(name)
        found = []
        for number, each in enumerate(self._list(name)):
            if not isinstance(each, dict):
                raise malformed(f"{place}.{number}", "an object")
            found.append(Fields(each, f"{place}.{number}"))
        return found

    def members(self) -> Mapping[str, Any]:
        """Return the whole object."""
        return self._members

    def place_of(self, name: str) -> str:
        """Return the place of a member in the body."""
        return f"{self._place}.{name}" if self._place else name

    def _time(self, name: str) -> re.Match[str]:
        value = self.value(name)
        found = _TIME.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            raise malformed(self.place_of(name), _A_TIME)
        return found

    def _object(self, name: str) -> Mapping[str, Any]:
        value = self.value(name)
        if value is not None and not isinstance(value, dict):
            raise malformed(self.place_of(name), "an object")
        return value or {}

    def _list(self, name: str) -> list[Any]:
        value = self.value(name)
        if value is not None and not isinstance(value, list):
            raise malformed(self.place_of(name), "a list")
        return value or []


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -_LARGEST <= value <= _LARGEST
