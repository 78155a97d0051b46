"""The detector of phone numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from attrs import frozen

from handlebar.policy import regexes
from handlebar.policy.detecting.finding import Detector, PatternDetector, pattern_detector

_INTERNATIONAL = r"\+[ (]{0,2}\d(?:[ ().\-/]{0,3}\d){6,14}"
_NATIONAL = {
    "US": r"(?:\(|\b)(?:1[ .\-])?\(?[2-9]\d{2}(?:\) ?|[ .\-])[2-9]\d{2}[ .\-]\d{4}\b",
    "GB": r"(?:\(|\b)0\d{2,4}(?:\) ?|[ \-])\d{3,4}[ \-]?\d{3,4}\b",
}
_DIGITS = re.compile(r"[0-9]+")
_NO_DIGITS = re.compile(r"[^0-9]+")
_LEAST_DIGITS = 7
_LONGEST_CODE = 3
_KINDS = ("fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost")
_RARE_KINDS = ("voip", "personal_number", "pager", "uan", "voicemail")


def phone() -> Detector:
    """
    Return a detector of phone numbers.

    A number with a plus is found where some country has such numbers. One without is found where it is written, with
    separators, as people in the United States (with Canada) or in Great Britain write theirs, and the number exists
    there. Other digits, which may number an order or tell a date, are none.
    """
    import phonenumbers

    national = {region: pattern_detector(pattern) for region, pattern in _NATIONAL.items()}
    return PhoneDetector(PatternDetector(regexes.compiled(_INTERNATIONAL)), national, phonenumbers, cache(_numbers_of))


@frozen
class Numbers:
    """
    What the numbers of one calling code look like, for a first look that takes a hundredth of the library's time.

    Attributes:
        kinds: The numbers of any kind and country.

        prefixes: What is dialled before a number within a country, with what it is replaced by.
    """

    kinds: re.Pattern[str]
    prefixes: tuple[tuple[re.Pattern[str], str], ...]

    def may_hold(self, digits: str) -> bool:
        """Whether *digits*, which follow the calling code, may be a number; the library has the last word."""
        return any(self.kinds.fullmatch(form) for form in self._forms(digits))

    def _forms(self, digits: str) -> Iterator[str]:
        yield digits
        for prefix, replacement in self.prefixes:
            if match := prefix.match(digits):
                yield digits[match.end() :]
                if replacement:
                    yield match.expand(replacement) + digits[match.end() :]


@frozen
class PhoneDetector:
    """Finds what looks like a phone number, and asks the library whether it is one."""

    international: Detector
    national: Mapping[str, Detector]
    phonenumbers: Any
    numbers_of: Callable[[Any, int], Numbers | None]

    def find(self, text: str) -> Iterator[str]:
        """Yield the numbers."""
        for number in self.international.find(text):
            yield from self._valid_starts(number)
        for region, pattern in self.national.items():
            for number in pattern.find(text):
                if self._may_be_national(number, region) and self._is_valid(number, region):
                    yield number

    def _valid_starts(self, number: str) -> Iterator[str]:
        """Yield what of *number* is one: other digits may follow it."""
        digits = _NO_DIGITS.sub("", number)
        ends = [(group.end(), group.end() - group.start()) for group in _DIGITS.finditer(number)]
        for end, length in reversed(ends):
            if len(digits) >= _LEAST_DIGITS and self._may_be(digits) and self._is_valid(number[:end], None):
                yield number[:end]
            digits = digits[:-length]

    def _may_be_national(self, number: str, region: str) -> bool:
        digits = _NO_DIGITS.sub("", number)
        if region == "US":
            return self._may_be("1" + digits[-10:])
        return self._may_be(digits[2:] if digits.startswith("00") else "44" + digits)

    def _may_be(self, digits: str) -> bool:
        for length in range(1, _LONGEST_CODE + 1):
            numbers = self.numbers_of(self.phonenumbers, int(digits[:length]))
            if numbers is not None:
                return numbers.may_hold(digits[length:])
        return False

    def _is_valid(self, text: str, region: str | None) -> bool:
        try:
            number = self.phonenumbers.parse(text, region)
        except self.phonenumbers.NumberParseException:
            return False
        return bool(self.phonenumbers.is_valid_number(number))


def _numbers_of(phonenumbers: Any, code: int) -> Numbers | None:
    """Return the numbers of a calling *code*, None where there is no such code."""
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(code, ())
    read = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code
    countries = [country for country in (read(code, region) for region in regions) if country is not None]
    if not countries:
        return None
    kinds = {pattern for country in countries for pattern in _patterns_of(country)}
    # Those of a code's main country: the library goes by it before it knows the country.
    first = countries[0]
    prefix = first.national_prefix_for_parsing
    rule = first.national_prefix_transform_rule or ""
    return Numbers(re.compile("|".join(sorted(kinds))), ((re.compile(prefix), rule),) if prefix else ())


def _patterns_of(country: Any) -> Iterator[str]:
    for kind in _KINDS + _RARE_KINDS:
        about = getattr(country, kind, None)
        if about is not None and about.national_number_pattern:
            yield about.national_number_pattern
