"""Each detector: what it finds, and what it leaves alone."""

from __future__ import annotations

import random
import re
import string
from base64 import urlsafe_b64encode
from ipaddress import IPv6Network, ip_address

import phonenumbers
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from stdnum import iban as iban_numbers
from stdnum import luhn

from handlebar.policy.detecting.catalogue import DETECTORS, detector
from handlebar.policy.detecting.plain_text import plain


def found(name: str, text: str) -> list[str]:
    """Return what the detector finds in *text*."""
    return list(detector(name).find(plain(text)))


def jwt_with(header: str) -> str:
    """Return a token with *header*."""
    return urlsafe_b64encode(header.encode()).decode().rstrip("=") + ".eyJzdWIiOiIxIn0.c2ln"


SPOKEN = "Bring 3 of order A-17, from 2024-01-31 10:20:30 (20240131), to room 4.2: it is 100 % done."
UUID = "550e8400-e29b-41d4-a716-446655440000"
DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
# Put together here, so that no scanner takes them for secrets that have leaked.
GITHUB = "ghp_" + "a1B2c3D4e5" * 4
OPENAI = "sk-" + "proj-Ab3dEfGh1jKlMn0pQrSt"
AWS = "AKIA" + "IOSFODNN7EXAMPLE"
RANDOM = "wJalrXUtnFEMI" + "/K7MDENG/bPxRfiCYzEXAMPLEKEY"

FOUND = [
    ("email", "Write to anna+tag@mail.example.com.", ["anna+tag@mail.example.com"]),
    ("email", "<anna@bücher.example>,o'neil@a.co", ["anna@bücher.example", "o'neil@a.co"]),
    ("email", "mailto:a@xn--bcher-kva.xn--p1ai?x", ["a@xn--bcher-kva.xn--p1ai"]),
    ("email", "anna\uff20example\uff0ecom", ["anna@example.com"]),
    ("email", "an\u200bna@exam\u00adple.com", ["anna@example.com"]),
    ("email", "anna@example.com.pdf, anna@example.zip", ["anna@example.com", "anna@example.zip"]),
    ("email_domain", "anna@mail.example.com, *@b.org", ["mail.example.com", "b.org"]),
    ("phone", "+44 20 7946 0958 2024", ["+44 20 7946 0958"]),
    ("phone", "tel:+4930901820,+33 (1) 42-68-53.00", ["+4930901820", "+33 (1) 42-68-53.00"]),
    ("phone", "(415) 555-2671 or 1-415-555-2671", ["(415) 555-2671", "1-415-555-2671"]),
    ("phone", "020 7946 0958, 07911 123456", ["020 7946 0958", "07911 123456"]),
    ("phone", "+\u06f4\u06f4 20 7946 0958", ["+44 20 7946 0958"]),
    ("credit_card", "4111111111111111", ["4111111111111111"]),
    ("credit_card", "4111 1111-1111 1111 3", ["4111111111111111"]),
    ("credit_card", "7 2024 4111 1111 1111 1111", ["4111111111111111"]),
    ("credit_card", "card5555555555554444!", ["5555555555554444"]),
    ("credit_card", "3782-822463-10005, 3056 930902 5904", ["378282246310005", "30569309025904"]),
    (
        "credit_card",
        "\uff14\uff11\uff11\uff11\u00a0" + "\uff11" * 4 + "\u2011" + "\uff11" * 4 + "\u200b1111",
        ["4111111111111111"],
    ),
    ("credit_card", "٤١١١١١١١١١١١١١١١", ["4111111111111111"]),
    ("credit_card", "4\u03361\u03361\u03361\u0336111111111111\ufe0f", ["4111111111111111"]),
    ("iban", "GB82 WEST 1234 5698 7654 32 please", ["GB82WEST12345698765432"]),
    ("iban", "ibande89370400440532013000", ["DE89370400440532013000"]),
    ("iban", "AB12DE89-3704-0044-0532-0130-00.", ["DE89370400440532013000"]),
    ("uk_nino", "AB 12 34 56 C and ab123456c", ["AB 12 34 56 C", "ab123456c"]),
    ("ip_address", "at 10.0.0.1:80, 10.0.0.0/8, ip:192.168.0.7.", ["10.0.0.1", "10.0.0.0", "192.168.0.7"]),
    (
        "ip_address",
        "[::1]:80 fe80::1%eth0 from:2001:db8::8a2e:370:7334.",
        ["::1", "fe80::1", "2001:db8::8a2e:370:7334"],
    ),
    ("ip_address", "::ffff:10.0.0.1", ["10.0.0.1", "::ffff:10.0.0.1"]),
    ("url", "see HTTPS://u:p@a.com:8/b?c, ftp://x", ["HTTPS://u:p@a.com:8", "ftp://x"]),
    ("url", "https://a.com/?to=https://b.com", ["https://a.com", "https://b.com"]),
    ("jwt", "Bearer " + jwt_with('{"alg": "none"}'), [jwt_with('{"alg": "none"}').rpartition(".")[0]]),
    ("jwt", "a.b." + jwt_with('{"typ":"JWT","alg":"RS256"}'), 1),
    ("private_key", "x\n-----BEGIN PRIVATE KEY-----\\nMII", ["-----BEGIN PRIVATE KEY-----"]),
    ("private_key", "-----BEGIN RSA PRIVATE KEY-----", 1),
    ("private_key", "-----BEGIN EC PRIVATE KEY-----", 1),
    ("private_key", "-----BEGIN OPENSSH PRIVATE KEY-----", 1),
    ("private_key", "-----BEGIN ENCRYPTED PRIVATE KEY-----", 1),
    ("private_key", "-----BEGIN PGP PRIVATE KEY BLOCK-----", 1),
    ("private_key", "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----", 1),
    ("private_key", "PuTTY-User-Key-File-3: ssh-ed25519", 1),
    ("secret_key", f"export TOKEN_{GITHUB}", [GITHUB]),
    ("secret_key", OPENAI, [OPENAI]),
    ("secret_key", AWS, [AWS]),
    ("secret_key", f'"{RANDOM}"', [RANDOM]),
    ("secret_key", "xox" + "b-123456789012-abcdef", 1),
    ("secret_key", "shpat_" + DIGEST[:32], 1),
]
LEFT_ALONE = [
    *((name, SPOKEN) for name in DETECTORS),
    *((name, f"{UUID} {DIGEST} {UUID.upper()}") for name in DETECTORS),
    ("email", "@anna, anna@home, a@b.1, 5 @ 3.com"),
    ("email", "image@2x.png sprite@3x.JPEG bundle@1.2.min.js"),
    ("email_domain", "@anna anna@localhost logo@2x.webp"),
    ("phone", "4155552671 1706659200000 07911123456 555-2671 999-999-9999 +999 1234567 1.415.555"),
    ("phone", "192.168.100.2000 12-34-56 2024/01/31 order 0001 1234"),
    ("credit_card", "4111111111111112 4111 1111 1111 1112 1706659200000 4006381333931 41111 11111 111111"),
    ("iban", "GB82 WEST 1234 5698 7654 33, GB82 WEST 1234 5698 7654 3, ZZ82WEST12345698765432"),
    ("uk_nino", "GB123456A QQ123456A AB123456E AB1234567C XAB123456C"),
    ("ip_address", "1.2.3 256.1.1.1 1.2.3.4.5 v1.2.3.4 std::cout [::2] 10:20:30 aa:bb:cc:dd:ee:ff 2.0::"),
    ("url", "www.example.com javascript:alert(1) a:// //b"),
    ("jwt", "a.b.c www.example.com " + jwt_with('{"typ":"JWT"}') + " " + jwt_with('["alg"]') + " " + jwt_with("{")),
    ("private_key", "-----BEGIN CERTIFICATE----- -----BEGIN PUBLIC KEY----- my private key"),
    ("secret_key", "sk-learn-based-on-python task-list-of-2024-things ghp_short"),
    ("secret_key", "usr/local/lib/python3/site-packages/GoogleCloudStorageBucketV2Client"),
    ("secret_key", "docs/2024/Reports/QuarterlySummaryForTheBoardMembers pi_3MtwBwLkdIwHu7ix28a3tqPa"),
    ("secret_key", RANDOM * 8),
]


@pytest.mark.parametrize(("name", "text", "expected"), FOUND)
def test_finds(name: str, text: str, expected: list[str] | int) -> None:
    """It is found, as often as it is there, in whatever form people write it."""
    what = found(name, text)
    assert expected == (len(what) if isinstance(expected, int) else what)


@pytest.mark.parametrize(("name", "text"), LEFT_ALONE)
def test_leaves_alone(name: str, text: str) -> None:
    """What only looks a bit like it is not found."""
    assert [] == found(name, text)


surroundings = st.text(max_size=20).filter(lambda text: not re.search("[0-9]", plain(text)))
numbers = st.builds("{:011}".format, st.integers(0, 10**11 - 1))


def grouped(number: str, separator: str) -> str:
    """Return *number* in groups of four."""
    return separator.join(number[start : start + 4] for start in range(0, len(number), 4))


@given(surroundings, surroundings, st.sampled_from(["4", "51", "55"]), numbers, st.sampled_from(["", " ", "-"]))
def test_cards_anywhere(before: str, after: str, network: str, digits: str, separator: str) -> None:
    """A card number is found among any letters and signs; with another check digit it is not."""
    body = (network + digits + "0000")[:15]
    right = luhn.calc_check_digit(body)
    wrong = str((int(right) + 1) % 10)

    assert [body + right] == found("credit_card", before + grouped(body + right, separator) + after)
    assert [] == found("credit_card", before + grouped(body + wrong, separator) + after)


@given(st.text(max_size=20), st.text(max_size=20), numbers, st.sampled_from(["", " ", "-"]))
def test_ibans_anywhere(before: str, after: str, digits: str, separator: str) -> None:
    """An IBAN is found in any text; with other check digits it is not."""
    bban = digits + "0000000"
    right = iban_numbers.calc_check_digits("DE00" + bban)
    wrong = f"{(int(right) + 1) % 100:02}"
    assume(not re.search("[A-Za-z]{2}[0-9]*$", plain(before)))
    number = f"DE{right}{bban}"

    assert number in found("iban", before + grouped(number, separator) + after)
    assert [] == found("iban", before + grouped(f"DE{wrong}{bban}", separator) + after)


@pytest.mark.parametrize("length", [32, 40, 64, 128])
def test_random_tokens(length: int) -> None:
    """Nearly all tokens drawn at random are taken for secrets."""
    draw = random.Random(length)
    letters = string.ascii_letters + string.digits + "+/"
    tokens = ["".join(draw.choices(letters, k=length)) for _ in range(500)]

    assert 0.97 * len(tokens) < sum(bool(found("secret_key", token)) for token in tokens)


HOSTILE = [
    *((name, part) for name in DETECTORS for part in ("a", "1", "-----BEGIN A ")),
    *[("email", "a@"), ("email", "a@a."), ("email", "@a.a.1.1"), ("email_domain", "@a.a.1.1"), ("url", "a:/")],
    *[("phone", "+1 1 1 1 1 1 1 1 "), ("phone", "0999 999 9999 "), ("credit_card", "4 "), ("credit_card", "4111 ")],
    *[
        ("iban", "MT84MALT"),
        ("uk_nino", "AB123456"),
        ("ip_address", "1:"),
        ("ip_address", "1.1."),
        ("ip_address", ": "),
    ],
    *[
        ("jwt", "eyJh."),
        ("secret_key", "sk-"),
        ("secret_key", "SG." + "a" * 20 + "."),
        ("secret_key", "aB3" * 20 + " "),
    ],
]


@pytest.mark.parametrize(("name", "part"), HOSTILE)
def test_hostile_text(name: str, part: str) -> None:
    """A mebibyte made to keep a detector busy is done in seconds; quadratic work would need hours, or give up."""
    text = part * (2**20 // len(part))
    assert None is next(detector(name).find(text), None)


def test_phone_numbers_of_every_country() -> None:
    """The first look at a number lets none pass by that the library has as an example, with or without a prefix."""
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        for kind in (phonenumbers.PhoneNumberType.FIXED_LINE, phonenumbers.PhoneNumberType.MOBILE):
            number = phonenumbers.example_number_for_type(region, kind)
            if number is None or len(str(number.national_number)) + len(str(number.country_code)) < 7:
                continue
            text = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
            assert [text] == found("phone", text)[:1], region


@settings(deadline=None)
@given(st.text("0123456789abcdefF:.", max_size=20) | st.ip_addresses().map(str))
def test_ip_addresses_are_those_of_the_standard_library(text: str) -> None:
    """What is found is an address to `ipaddress`, and an address that stands alone is found."""
    for each in found("ip_address", text):
        ip_address(each)
    try:
        alone = ip_address(text)
    except ValueError:
        return
    assert alone.version == 6 or text in found("ip_address", text)
    if alone.version == 6 and alone not in IPv6Network("::/96"):
        assert text in found("ip_address", text)


def test_hostile_header() -> None:
    """A token whose header is nested too deeply, or holds a number too long, is none and does no harm."""
    assert [] == found("jwt", jwt_with('{"a":' * 100_000))
    assert 1 == len(found("jwt", jwt_with('{"alg":"none","n":' + "1" * 10_000 + "}")))


class TestPlain:
    def test_hostile_marks(self) -> None:
        """Marks in the wrong order do not take quadratic time to sort."""
        assert 2**19 == len(plain("\u0301" * 2**18 + "\u0316" * 2**18))

    @given(st.text())
    def test_plain_twice(self, text: str) -> None:
        """Digits, blanks and dashes of plain text are those of ASCII, and nothing in it is invisible."""
        once = plain(text)

        assert not re.search(r"[\u200b-\u200f\u00ad\u2060\ufeff]", once)
        assert all(letter.isascii() for letter in once if letter.isdecimal())

    @given(st.text(st.characters(max_codepoint=127)))
    def test_ascii_stays(self, text: str) -> None:
        """What holds ASCII only is plain."""
        assert text == plain(text)
