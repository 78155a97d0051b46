"""The detector of phone numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from attrs import frozen

from handlebar.policy.detecting.finding import Detector, pattern_detector

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
    return PhoneDetector(pattern_detector(_INTERNATIONAL), national, phonenumbers, _reader(phonenumbers))


@frozen
class Numbers:
    """
    What the numbers of one calling code look like, for a first look that takes a hundredth of the library's time.

    Attributes:
        code: How many digits the calling code has.

        kinds: The numbers of any kind and country.

        lengths: How many digits they may have.

        prefix: What is dialled before a number within a country; None for nothing.

        rule: What it is replaced by where its last group matches.
    """

    code: int
    kinds: re.Pattern[str]
    lengths: frozenset[int]
    prefix: re.Pattern[str] | None
    rule: str

    def may_be(self, digits: str) -> bool:
        """Whether *digits*, which begin with the calling code, may be a number; the library has the last word."""
        national = digits[self.code :]
        if self._is_one(national):
            return True
        match = self.prefix and self.prefix.match(national)
        return match is not None and self._is_one(self._without(match, national))

    def _is_one(self, national: str) -> bool:
        return len(national) in self.lengths and self.kinds.fullmatch(national) is not None

    def _without(self, prefix: re.Match[str], national: str) -> str:
        rest = national[prefix.end() :]
        return prefix.expand(self.rule) + rest if self.rule and prefix.lastindex == prefix.re.groups else rest


@frozen
class PhoneDetector:
    """
    Finds what looks like a phone number, and asks the library whether it is one.

    Attributes:
        numbers_of: Returns what numbers look like that begin with three digits, None where no country has any.
    """

    international: Detector
    national: Mapping[str, Detector]
    phonenumbers: Any
    numbers_of: Callable[[str], Numbers | None]

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
        numbers = self.numbers_of(digits[:_LONGEST_CODE])
        if numbers is None:
            return
        for end, length in _starts(number, len(digits)):
            if numbers.may_be(digits[:length]) and self._is_valid(number[:end], None):
                yield number[:end]

    def _may_be_national(self, number: str, region: str) -> bool:
        digits = _NO_DIGITS.sub("", number)
        if region == "US":
            return self._may_be("1" + digits[-10:])
        return self._may_be(digits[2:] if digits.startswith("00") else "44" + digits)

    def _may_be(self, digits: str) -> bool:
        numbers = self.numbers_of(digits[:_LONGEST_CODE])
        return numbers is not None and numbers.may_be(digits)

    def _is_valid(self, text: str, region: str | None) -> bool:
        try:
            number = self.phonenumbers.parse(text, region)
        except self.phonenumbers.NumberParseException:
            return False
        return bool(self.phonenumbers.is_valid_number(number))


def _starts(number: str, digits: int) -> Iterator[tuple[int, int]]:
    """Yield where each group of digits in *number* ends and how many *digits* there are up to it, the longest first."""
    if number[1:].isdecimal():
        yield len(number), digits
        return
    for group in reversed(list(_DIGITS.finditer(number))):
        if digits < _LEAST_DIGITS:
            return
        yield group.end(), digits
        digits -= group.end() - group.start()


def _reader(phonenumbers: Any) -> Callable[[str], Numbers | None]:
    @cache
    def numbers_of(start: str) -> Numbers | None:
        codes = (start[:length] for length in range(1, _LONGEST_CODE + 1))
        known = (code for code in codes if int(code) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE)
        return next((_numbers_of(phonenumbers, code) for code in known), None)

    return numbers_of


def _numbers_of(phonenumbers: Any, code: str) -> Numbers | None:
    """Return the numbers of a calling *code*, None where nothing is known of any."""
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[int(code)]
    read = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code
    countries = [country for country in (read(int(code), region) for region in regions) if country is not None]
    if not countries:
        return None
    kinds = "|".join(sorted(set(map(_pattern_of, countries))))
    lengths = frozenset(length for country in countries for length in country.general_desc.possible_length)
    # Those of a code's main country: the library goes by it before it knows the country.
    prefix = countries[0].national_prefix_for_parsing
    rule = countries[0].national_prefix_transform_rule or ""
    return Numbers(len(code), re.compile(kinds), lengths, re.compile(prefix) if prefix else None, rule)


def _pattern_of(country: Any) -> str:
    kinds = (getattr(country, kind, None) for kind in _KINDS + _RARE_KINDS)
    patterns = (about.national_number_pattern for about in kinds if about is not None)
    known = "|".join(sorted(set(filter(None, patterns))))
    return f"(?=(?:{country.general_desc.national_number_pattern})$)(?:{known})"
