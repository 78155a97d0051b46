"""Detectors of numbers that prove themselves, or nearly: cards, IBANs, national insurance."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from attrs import frozen

from handlebar.policy.detecting.finding import Detector, pattern_detector

_CARD_GROUPS = (
    rb"[2-6]\d{3}_\d{4}_\d{4}_\d{2,4}",
    rb"[2-6]\d{3}_\d{4}_\d{4}_\d{4}_\d{1,3}",
    rb"[2-6]\d{3}_\d{6}[\s-]{1,3}\d{4,9}",
)
# Looked for at each digit that begins a group, so that one card does not hide another. In bytes: that is quicker.
_CARDS = tuple(
    re.compile(rb"(?<!\d)(?=(" + groups.replace(b"_", rb"[\s-]{0,3}") + rb")(?!\d))") for groups in _CARD_GROUPS
)
_CARD_NETWORKS = re.compile(
    rb"4\d{15}(?:\d{3})?"  # Visa; its 13 digits of old are bar codes today
    rb"|5[0-8]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}"  # Mastercard, Maestro
    rb"|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}|3[568]\d{14}"  # American Express, Diners Club, JCB
    rb"|6\d{15,18}"  # Discover, UnionPay, Maestro
)
_BETWEEN_GROUPS = b" \t\n\r\f\v-"
# What twice a digit adds up to.
_DOUBLED = bytes.maketrans(b"0123456789", b"0246813579")
_IBAN_START = re.compile(r"([A-Za-z]{2})[0-9]{2}")
_IBAN_PARTS = re.compile(r"(\d+)!([nac])")
_IBAN_LETTERS = {"n": "[0-9]", "a": "[A-Za-z]", "c": "[A-Za-z0-9]"}
_SEPARATORS = re.compile(r"[\s\-]+")
_NINO = r"(?i)\b[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z][\s\-]?\d{2}[\s\-]?\d{2}[\s\-]?\d{2}[\s\-]?[A-D]\b"
_NO_NINO = frozenset(("BG", "GB", "KN", "NK", "NT", "TN", "ZZ"))


def credit_card() -> Detector:
    """
    Return a detector of card numbers.

    It knows those of the large networks, in one piece or in the groups that cards show, with blanks or dashes between.
    """
    return CardDetector()


def iban() -> Detector:
    """Return a detector of IBANs with the right length, structure and check digits."""
    from stdnum import iban as library

    return IbanDetector(_iban_rests(), library.is_valid)


def uk_nino() -> Detector:
    """Return a detector of British national insurance numbers; they have no check digit."""
    return pattern_detector(_NINO, lambda found: found[:2].upper() not in _NO_NINO)


@frozen
class CardDetector:
    """Finds card numbers among other digits."""

    def find(self, text: str) -> Iterator[str]:
        """Yield the digits of each card."""
        read = text.encode("ascii", "replace")
        for pattern in _CARDS:
            for match in pattern.finditer(read):
                number = match[1].translate(None, _BETWEEN_GROUPS)
                if _is_card(number):
                    yield number.decode()


def _is_card(number: bytes) -> bool:
    return _CARD_NETWORKS.fullmatch(number) is not None and _has_check_digit(number)


def _has_check_digit(number: bytes) -> bool:
    """Whether *number* ends with what Luhn's formula asks for."""
    codes = number[::-2] + number[-2::-2].translate(_DOUBLED)
    return (sum(codes) - ord("0") * len(codes)) % 10 == 0


@frozen
class IbanDetector:
    """
    Finds IBANs, whatever stands before and behind them.

    Attributes:
        rests: What stands behind the check digits, by country.
    """

    rests: Mapping[str, re.Pattern[str]]
    is_iban: Callable[..., bool]

    def find(self, text: str) -> Iterator[str]:
        """Yield each IBAN without separators."""
        for start in _IBAN_START.finditer(text):
            pattern = self.rests.get(start[1].upper())
            rest = pattern.match(text, start.end()) if pattern else None
            number = rest and start.group().upper() + _SEPARATORS.sub("", rest.group())
            if number and _has_check_digits(number) and self.is_iban(number, check_country=False):
                yield number


def _has_check_digits(number: str) -> bool:
    """Whether *number* gives one when it is divided by 97; letters count from ten, and the start comes last."""
    return int("".join(str(int(letter, 36)) for letter in number[4:] + number[:4])) % 97 == 1


def _iban_rests() -> dict[str, re.Pattern[str]]:
    """Return what IBANs of each country look like behind the check digits, with separators now and then."""
    from stdnum import numdb

    registry = numdb.get("iban")
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    known = {first + second: registry.info(first + second)[0][1] for first in letters for second in letters}
    return {country: _iban_rest(about["bban"]) for country, about in known.items() if "bban" in about}


def _iban_rest(structure: str) -> re.Pattern[str]:
    """Return the pattern of a *structure* such as `4!a6!n8!n`."""
    parts = _IBAN_PARTS.findall(structure)
    return re.compile("".join(rf"(?:[\s\-]{{0,2}}{_IBAN_LETTERS[kind]}){{{count}}}" for count, kind in parts), re.ASCII)
