"""Detectors of what opens doors: JSON Web Tokens, private keys, secret keys."""

from __future__ import annotations

import json
import math
import re
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from attrs import frozen

from handlebar.policy.detecting.finding import Detector, pattern_detector

_DOTTED = re.compile(r"[A-Za-z0-9_.-]+")
# In Base64: a brace, or white space before one.
_HEADER_STARTS = ("e", "I", "C", "D")
_SHORTEST_HEADER = 14
_PRIVATE_KEY = (
    r"(?i)-{4,5} ?BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)? ?-{4,5}"
    r"|PuTTY-User-Key-File-\d|AGE-SECRET-KEY-1[A-Z0-9]{50}"
)
_KNOWN_SECRETS = (
    r"sk-[A-Za-z0-9_-]*\d[A-Za-z0-9_-]*",
    r"[sr]k_(?:live|test)_[A-Za-z0-9]{16,}",
    r"whsec_[A-Za-z0-9+/=]{20,}",
    r"gh[pousr]_[A-Za-z0-9]{20,}",
    r"github_pat_[A-Za-z0-9_]{20,}",
    r"glpat-[A-Za-z0-9_-]{20,}",
    r"(?:AKIA|ASIA)[A-Z0-9]{16}",
    r"xox[a-z]-[A-Za-z0-9-]{11,}",
    r"xapp-[A-Za-z0-9-]{11,}",
    r"AIza[A-Za-z0-9_-]{35}",
    r"GOCSPX-[A-Za-z0-9_-]{20,}",
    r"ya29\.[A-Za-z0-9_-]{20,}",
    r"hf_[A-Za-z0-9]{30,}",
    r"npm_[A-Za-z0-9]{36}",
    r"pypi-[A-Za-z0-9_-]{50,}",
    r"SG\.[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}",
    r"shp(?:at|ca|pa|ss)_[A-Fa-f0-9]{32}",
    r"do[opr]_v1_[a-f0-9]{64}",
)
_LEAST_KNOWN = 16
_TOKEN = r"[A-Za-z0-9+/_-]{32,}"  # noqa: S105  # no password
_HEX = re.compile(r"[0-9A-Fa-f-]+")
_LETTER_KINDS = (re.compile("[a-z]"), re.compile("[A-Z]"), re.compile("[0-9]"))
_MOST_OF_TOKEN = 256
# Of the bits that a letter could tell; words, names and paths stay below, and what is drawn at random above.
_LEAST_SHARE = 0.84
# However long a random token is, its letters are not all different.
_MOST_DIFFERENT = 56


def jwt() -> Detector:
    """Return a detector of JSON Web Tokens, signed, encrypted or neither."""
    return JwtDetector()


def private_key() -> Detector:
    """Return a detector of private keys by their first line: PEM of all kinds, OpenSSH, PGP, PuTTY, age."""
    return pattern_detector(_PRIVATE_KEY)


def secret_key() -> Detector:
    """
    Return a detector of secret keys.

    One that starts as a well-known issuer's do is found; of others, tokens of 32 to 256 letters (as Base64 has them)
    that hold small and capital letters and digits, and whose entropy by Shannon is at least 84 % of the most that so
    long a token can have: 4.2 bits a letter of 32, 4.9 of 56 and more. Digests and UUIDs, which are hexadecimal, are
    none without such a start; nor are longer tokens, which are files.
    """
    known = pattern_detector(rf"(?:\b|_)({'|'.join(_KNOWN_SECRETS)})", lambda found: len(found) >= _LEAST_KNOWN)
    return SecretDetector(known, pattern_detector(_TOKEN, _is_random))


@frozen
class JwtDetector:
    """Finds tokens whose header decodes as JSON with an algorithm."""

    def find(self, text: str) -> Iterator[str]:
        """Yield header and payload."""
        for token in _DOTTED.findall(text):
            for header, payload in pairwise(token.split(".")):
                if payload and _may_be_header(header) and _is_header(header):
                    yield f"{header}.{payload}"


@frozen
class SecretDetector:
    """Finds what one of two detectors finds."""

    known: Detector
    random: Detector

    def find(self, text: str) -> Iterator[str]:
        """Yield secrets of known issuers, then those of others."""
        yield from self.known.find(text)
        yield from self.random.find(text)


def _may_be_header(part: str) -> bool:
    return len(part) >= _SHORTEST_HEADER and part.startswith(_HEADER_STARTS)


def _is_header(part: str) -> bool:
    try:
        header = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)), parse_int=str)
    except (ValueError, RecursionError):
        return False
    return isinstance(header, dict) and isinstance(header.get("alg"), str)


def _is_random(token: str) -> bool:
    return (
        len(token) <= _MOST_OF_TOKEN
        and not _HEX.fullmatch(token)
        and all(kind.search(token) for kind in _LETTER_KINDS)
        and _bits_per_letter(token) >= _LEAST_SHARE * math.log2(min(len(token), _MOST_DIFFERENT))
    )


def _bits_per_letter(token: str) -> float:
    shares = [count / len(token) for count in Counter(token).values()]
    return -sum(share * math.log2(share) for share in shares)
