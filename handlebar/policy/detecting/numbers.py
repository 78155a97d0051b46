"""Detectors of numbers that prove themselves, or nearly: cards, IBANs, national insurance."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from attrs import frozen

from handlebar.policy import regexes
from handlebar.policy.detecting.finding import Detector, pattern_detector

_CARD_TEXT = r"\d(?:[\s\-]{0,3}\d){13,}"
# After which digits there may be a separator: 4-4-4-4-3 and 4-6-5.
_CARD_CUTS = (frozenset((4, 8, 12, 16)), frozenset((4, 10)))
_MOST_GROUPS = 5
_CARD_NETWORKS = re.compile(
    r"4\d{15}(?:\d{3})?"  # Visa; its 13 digits of old are bar codes today
    r"|5[0-8]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}"  # Mastercard, Maestro
    r"|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}|3[568]\d{14}"  # American Express, Diners Club, JCB
    r"|6\d{15,18}"  # Discover, UnionPay, Maestro
)
_DIGITS = re.compile(r"\d+")
_IBAN_START = r"[A-Za-z]{2}\d{2}"
_IBAN_REST = re.compile(r"[\s\-]{0,2}([A-Za-z0-9])")
_IBAN_PARTS = re.compile(r"(\d+)!")
_NINO = r"(?i)\b[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z][\s\-]?\d{2}[\s\-]?\d{2}[\s\-]?\d{2}[\s\-]?[A-D]\b"
_NO_NINO = frozenset(("BG", "GB", "KN", "NK", "NT", "TN", "ZZ"))


def credit_card() -> Detector:
    """
    Return a detector of card numbers.

    It knows those of the large networks, in one piece or in the groups that cards show, with blanks or dashes between.
    """
    from stdnum import luhn

    return CardDetector(regexes.compiled(_CARD_TEXT), luhn.is_valid)


def iban() -> Detector:
    """Return a detector of IBANs with the right length, structure and check digits."""
    from stdnum import iban as library

    return IbanDetector(regexes.compiled(_IBAN_START), library.is_valid, _iban_lengths())


def uk_nino() -> Detector:
    """Return a detector of British national insurance numbers; they have no check digit."""
    return pattern_detector(_NINO, lambda match: match.group()[:2].upper() not in _NO_NINO)


@frozen
class CardDetector:
    """Finds card numbers among other digits."""

    digits: Any
    has_check_digit: Callable[[str], bool]

    def find(self, text: str) -> Iterator[str]:
        """Yield the digits of each card."""
        for match in self.digits.finditer(text):
            groups = _DIGITS.findall(match.group())
            yield from filter(self._is_card, _joined_groups(groups))

    def _is_card(self, number: str) -> bool:
        return _CARD_NETWORKS.fullmatch(number) is not None and self.has_check_digit(number)


def _joined_groups(groups: list[str]) -> Iterator[str]:
    """Yield each group, and what it makes with those behind it where cards are cut like that."""
    for start in range(len(groups)):
        number = ""
        cuts: set[int] = set()
        for group in groups[start : start + _MOST_GROUPS]:
            if not any(cuts <= allowed for allowed in _CARD_CUTS):
                break
            number += group
            cuts.add(len(number))
            yield number


@frozen
class IbanDetector:
    """Finds IBANs, whatever stands before and behind them."""

    start: Any
    is_iban: Callable[..., bool]
    lengths: Mapping[str, int]

    def find(self, text: str) -> Iterator[str]:
        """Yield each IBAN without separators."""
        for match in self.start.finditer(text):
            head = match.group().upper()
            length = self.lengths.get(head[:2], 0)
            number = head + "".join(islice(_iban_rest(text, match.end()), max(length - len(head), 0)))
            if len(number) == length and self.is_iban(number, check_country=False):
                yield number


def _iban_rest(text: str, position: int) -> Iterator[str]:
    """Yield letters and digits, with a separator between them now and then."""
    while match := _IBAN_REST.match(text, position):
        yield match.group(1)
        position = match.end()


def _iban_lengths() -> dict[str, int]:
    """Return how long an IBAN of each country is."""
    from stdnum import numdb

    registry = numdb.get("iban")
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    known = {first + second: registry.info(first + second)[0][1] for first in letters for second in letters}
    return {
        country: 4 + sum(map(int, _IBAN_PARTS.findall(about["bban"])))
        for country, about in known.items()
        if "bban" in about
    }
