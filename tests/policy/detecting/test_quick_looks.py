"""Detectors that look twice, quickly first, find what one slow look finds."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

import phonenumbers
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from stdnum import luhn

from handlebar.policy.detecting.catalogue import detector

NUMBERS = [
    "+1 415 555 2671",
    "+1 1 415 555 2671",
    "+44 20 7946 0958",
    "+44 020 7946 0958",
    "+39 06 698 5555",
    "+54 11 15 2345 6789",
    "+52 55 1234 5678",
    "+261 0 731 6231",
    "+800 1234 5678",
    "+378 0549 886377",
]
PIECES = st.sampled_from([*NUMBERS, *"0123456789", "+", " ", "-", "(", ")", "/", ".", "00", "x", "\n"])
CARDS = ["4111 1111 1111 1111", "5555555555554444", "3782-822463-10005", "3056 930902 5904", "6304 0000 0000 0000 000"]
PIECES_OF_CARDS = st.sampled_from([*CARDS, *"0123456789", "4111", " ", "-", "\n", "\x1c", "x", "\u0664"])


def phones_of(text: str) -> Iterator[str]:
    """Yield the international numbers: the library is asked about every start of all that may be one."""
    for match in re.finditer(r"\+[ (]{0,2}\d(?:[ ().\-/]{0,3}\d){6,14}", text, re.ASCII):
        for end in sorted((group.end() for group in re.finditer("[0-9]+", match[0])), reverse=True):
            start = match[0][:end]
            if len(re.sub("[^0-9]", "", start)) >= 7 and is_phone(start):
                yield start


def is_phone(text: str) -> bool:
    """Whether the library takes *text* for a number."""
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(text))
    except phonenumbers.NumberParseException:
        return False


def cards_of(text: str) -> Iterator[str]:
    """Yield the digits of each card: of every group of digits that one may begin with, in every form."""
    for form in ("4_4_4_2,4", "4_4_4_4_1,3", "4_6-4,9"):
        parts = [rf"\d{{{count}}}" for count in re.split("[_-]", form)]
        between = r"[\s-]{0,3}" if "-" not in form else None
        pattern = between.join(parts) if between else rf"{parts[0]}[\s-]{{0,3}}{parts[1]}[\s-]{{1,3}}{parts[2]}"
        for match in re.finditer(rf"(?<!\d)(?=({pattern})(?!\d))", text, re.ASCII):
            number = re.sub("[^0-9]", "", match[1])
            if luhn.is_valid(number) and is_of_network(number):
                yield number


def is_of_network(number: str) -> bool:
    """Whether cards of a large network begin with the first digits of *number*, and are as long."""
    first, length = int(number[:4]), len(number)
    return (
        (length in (16, 19) and number[0] == "4")
        or (length == 16 and (5000 <= first < 5900 or 2221 <= first <= 2720 or first // 100 in (35, 36, 38)))
        or (length == 14 and (3000 <= first < 3060 or first // 100 in (36, 38, 39)))
        or (length == 15 and first // 100 in (34, 37))
        or (16 <= length <= 19 and number[0] == "6")
    )


@settings(deadline=None)
@example(["+26107316231"])
@example(["+49497915467"])
@given(st.lists(PIECES, max_size=40))
def test_phone_numbers_are_those_of_the_library(pieces: list[str]) -> None:
    """Of international numbers the first look lets none pass by, and adds none."""
    text = "".join(pieces)
    found = [each for each in detector("phone").find(text) if each.startswith("+")]

    assert list(phones_of(text)) == found


@pytest.mark.parametrize("seed", range(4))
def test_numbers_of_all_codes(seed: int) -> None:
    """The same is true of digits behind the codes of all countries."""
    draw = random.Random(seed)
    codes = sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)
    lengths = [draw.randrange(5, 12) for _ in range(2000)]
    texts = [f"+{draw.choice(codes)}{draw.choice(['', '0', '1'])}{draw.randrange(10**length)}" for length in lengths]

    assert list(phones_of(" x ".join(texts))) == list(detector("phone").find(" x ".join(texts)))


@settings(deadline=None)
@given(st.lists(PIECES_OF_CARDS, max_size=60))
def test_cards_are_those_of_a_slow_look(pieces: list[str]) -> None:
    """Cards are found wherever groups of digits, a network and a check digit say that one is there."""
    text = "".join(pieces)

    assert list(cards_of(text)) == list(detector("credit_card").find(text))


def test_cards_of_all_networks() -> None:
    """The same is true of numbers with a check digit behind any first four digits."""
    bodies = (f"{first:04}".ljust(length - 1, "7") for first in range(2000, 7000, 9) for length in range(14, 20))
    text = ",".join(f"{body[:4]} {body[4:10]} {body[10:]}{luhn.calc_check_digit(body)}" for body in bodies)

    assert list(cards_of(text)) == list(detector("credit_card").find(text))
    assert 800 < len(list(cards_of(text)))
