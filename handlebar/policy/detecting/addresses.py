"""Detectors of addresses: e-mail, its domains, URLs, IP."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv6Address, IPv6Network, ip_address
from urllib.parse import unquote

from attrs import frozen

from handlebar.policy.detecting.finding import Detector, pattern_detector

LABEL = r"[^\s!-,./:-@\[-^`{-~]+"
"""A part of a domain, for Python: no signs of ASCII but `-` and `_`, and letters of all scripts with their marks."""

_LABEL = r"[\pL\pN](?:[\pL\pN\pM_-]*[\pL\pN\pM])?"
_DOMAIN = rf"(?:{_LABEL}\.)+\pL[\pL\pN\pM-]*[\pL\pN\pM]"
_MAILBOX = r"[\pL\pN\pM.!#$%&'*+/=?^_`{|}~-]+"
_FILE_ENDINGS = re.compile(
    r"(?i)asp|aspx|avif|bak|bmp|cfg|css|csv|dll|doc|docx|eot|eps|exe|gif|gz|heic|htm|html|"
    r"ico|ini|jpeg|jpg|js|json|jsp|jsx|less|lock|log|map|min|mjs|mp3|mp4|otf|pdf|php|"
    r"png|ppt|pptx|psd|sass|scss|sql|svg|tar|tgz|tif|tiff|tmp|toml|ts|tsv|tsx|ttf|txt|"
    r"vue|wav|webm|webp|woff|woff2|xls|xlsx|xml|yaml|yml"
)
"""What names of files end with, and no domain: `image@2x.png` is no address."""
_NOT_FIRST_IN_SCHEME = "0123456789+-"
_SCHEME_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" + _NOT_FIRST_IN_SCHEME
_AUTHORITY = re.compile(r"[^\s<>\"\\/?#]+")
_HOST = re.compile(rf"\[[^\]]*\]|(?:{LABEL}|\.)+")
_IP_TOKEN = re.compile(r"[\w:.]+")
_SHORTEST_IP, _LONGEST_IP = 3, 45
_SIXTEEN_BITS = re.compile(r"[0-9A-Fa-f]{0,4}")
# The old form that holds an IPv4 address; programs write `[::2]` for other reasons.
_IPV4_COMPATIBLE = IPv6Network("::/96")
_LOOPBACK = IPv6Address("::1")
# A first look, for the library takes its time; at `::2`, too, which is of the old form.
_MAY_BE_IPV4 = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_MAY_BE_IPV6 = re.compile(r"(?!::[0-9A-Fa-f]{1,4}\Z)[0-9A-Fa-f:.]+|::1")


def email() -> Detector:
    """Return a detector of e-mail addresses, with domains in any script."""
    return DomainDetector(pattern_detector(rf"{_MAILBOX}@{_DOMAIN}"))


def email_domain() -> Detector:
    """Return a detector of the domains of e-mail addresses: what follows an `@`, with or without a mailbox."""
    return DomainDetector(pattern_detector(rf"@({_DOMAIN})"))


def url() -> Detector:
    """Return a detector of absolute URLs (`scheme://host`), also of one inside another; it yields them without path."""
    return UrlDetector()


def ip_addresses() -> Detector:
    """Return a detector of IP addresses, version 4 and 6."""
    return IpDetector()


def host_of(url: str) -> str:
    """Return the host that a client would ask for *url*: what follows user and password, without the port."""
    authority = url.partition("://")[2]
    host = _HOST.match(unquote(authority.rpartition("@")[2]))
    return host.group() if host else ""


@frozen
class DomainDetector:
    """Finds what ends with a domain."""

    pattern: Detector

    def find(self, text: str) -> Iterator[str]:
        """Yield it, without the endings of files that stand behind it."""
        for found in self.pattern.find(text):
            address = _without_file_endings(found)
            rest, _, last = address.rpartition("@")[2].rpartition(".")
            if rest and last[0].isalpha():
                yield address


@frozen
class UrlDetector:
    """Finds URLs."""

    def find(self, text: str) -> Iterator[str]:
        """Yield the start of each URL, up to its path."""
        before = 0
        while (end := text.find("://", before)) >= 0:
            scheme = _scheme_at_the_end_of(text[before:end])
            before = end + 3
            authority = _AUTHORITY.match(text, before)
            if scheme and authority:
                yield f"{scheme}://{authority.group()}"


@frozen
class IpDetector:
    """Finds IP addresses in whatever may hold one."""

    def find(self, text: str) -> Iterator[str]:
        """Yield the addresses, without port, prefix length and zone."""
        for token in _IP_TOKEN.findall(text):
            parts = token.split(":")
            yield from filter(_is_ip, (part.strip(".") for part in parts))
            if token.count(":") > 1:
                yield from filter(_is_ip, [_from_first_number(parts).rstrip(".")])


def _without_file_endings(address: str) -> str:
    rest, dot, last = address.rpartition(".")
    while dot and _FILE_ENDINGS.fullmatch(last):
        address = rest
        rest, dot, last = address.rpartition(".")
    return address


def _scheme_at_the_end_of(text: str) -> str:
    """Return the scheme; stripping takes linear time where a pattern would begin anew at each letter."""
    start = len(text.rstrip(_SCHEME_LETTERS))
    return text[start:].lstrip(_NOT_FIRST_IN_SCHEME)


def _from_first_number(parts: list[str]) -> str:
    """Return *parts* without those at the start that are no part of an address, such as the name of a header."""
    start = 0
    while start < len(parts) and not _SIXTEEN_BITS.fullmatch(parts[start]):
        start += 1
    return ":".join(parts[start:])


def _is_ip(text: str) -> bool:
    if not _SHORTEST_IP <= len(text) <= _LONGEST_IP:
        return False
    if not (_MAY_BE_IPV4 if ":" not in text else _MAY_BE_IPV6).fullmatch(text):
        return False
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return address.version == 4 or address == _LOOPBACK or address not in _IPV4_COMPATIBLE
