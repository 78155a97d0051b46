"""The detector of phone numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from attrs import frozen

from handlebar.policy import regexes
from handlebar.policy.detecting.finding import Detector

_INTERNATIONAL = r"\+[ (]{0,2}\d(?:[ ().\-/]{0,3}\d){6,14}"
_NATIONAL = {
    "US": r"(?:\(|\b)(?:1[ .\-])?\(?[2-9]\d{2}(?:\) ?|[ .\-])[2-9]\d{2}[ .\-]\d{4}\b",
    "GB": r"(?:\(|\b)0\d{2,4}(?:\) ?|[ \-])\d{3,4}[ \-]?\d{3,4}\b",
}
_DIGITS = re.compile(r"\d+")
_LEAST_DIGITS = 7


def phone() -> Detector:
    """
    Return a detector of phone numbers.

    A number with a plus is found where some country has such numbers. One without is found where it is written, with
    separators, as people in the United States (with Canada) or in Great Britain write theirs, and the number exists
    there. Other digits, which may number an order or tell a date, are none.
    """
    import phonenumbers

    national = {region: regexes.compiled(pattern) for region, pattern in _NATIONAL.items()}
    return PhoneDetector(regexes.compiled(_INTERNATIONAL), national, phonenumbers)


@frozen
class PhoneDetector:
    """Finds what looks like a phone number, and asks the library whether it is one."""

    international: Any
    national: dict[str, Any]
    phonenumbers: Any

    def find(self, text: str) -> Iterator[str]:
        """Yield the numbers."""
        for match in self.international.finditer(text):
            yield from self._valid_starts(match.group())
        for region, pattern in self.national.items():
            for match in pattern.finditer(text):
                if self._is_valid(match.group(), region):
                    yield match.group()

    def _valid_starts(self, number: str) -> Iterator[str]:
        """Yield what of *number* is one: other digits may follow it."""
        ends = [group.end() for group in _DIGITS.finditer(number)]
        starts = [number[:end] for end in reversed(ends)]
        long_enough = (start for start in starts if sum(map(str.isdigit, start)) >= _LEAST_DIGITS)
        yield from (start for start in long_enough if self._is_valid(start, None))

    def _is_valid(self, text: str, region: str | None) -> bool:
        try:
            number = self.phonenumbers.parse(text, region)
        except self.phonenumbers.NumberParseException:
            return False
        return bool(self.phonenumbers.is_valid_number(number))
