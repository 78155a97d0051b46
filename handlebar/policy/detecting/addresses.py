"""Detectors of addresses: e-mail, its domains, URLs, IP."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Any
from urllib.parse import unquote

from attrs import frozen

from handlebar.policy import regexes
from handlebar.policy.detecting.finding import Detector, pattern_detector

LABEL = r"[^\s!-,./:-@\[-^`{-~]+"
"""A part of a domain, for Python: no signs of ASCII but `-` and `_`, and letters of all scripts with their marks."""

_LABEL = r"[\pL\pN](?:[\pL\pN\pM_-]*[\pL\pN\pM])?"
_DOMAIN = rf"(?:{_LABEL}\.)+\pL[\pL\pN\pM-]*[\pL\pN\pM]"
_MAILBOX = r"[\pL\pN\pM.!#$%&'*+/=?^_`{|}~-]+"
_SCHEME = r"[A-Za-z][A-Za-z0-9+-]*://"
_AUTHORITY = re.compile(r"[^\s<>\"\\/?#]+")
_HOST = re.compile(rf"\[[^\]]*\]|(?:{LABEL}|\.)+")
_IP_TOKEN = r"[\pL\pN_]*[:.][\pL\pN_:.]*"  # noqa: S105  # no password
_SHORTEST_IP, _LONGEST_IP = 3, 45
_SIXTEEN_BITS = re.compile(r"[0-9A-Fa-f]{0,4}")
# The old form that holds an IPv4 address; programs write `[::2]` for other reasons.
_IPV4_COMPATIBLE = IPv6Network("::/96")
_LOOPBACK = IPv6Address("::1")


def email() -> Detector:
    """Return a detector of e-mail addresses, with domains in any script."""
    return pattern_detector(rf"{_MAILBOX}@{_DOMAIN}")


def email_domain() -> Detector:
    """Return a detector of the domains of e-mail addresses: what follows an `@`, with or without a mailbox."""
    return pattern_detector(rf"@({_DOMAIN})")


def url() -> Detector:
    """Return a detector of absolute URLs (`scheme://host`), also of one inside another; it yields them without path."""
    return UrlDetector(regexes.compiled(_SCHEME))


def ip_addresses() -> Detector:
    """Return a detector of IP addresses, version 4 and 6."""
    return IpDetector(regexes.compiled(_IP_TOKEN))


def host_of(url: str) -> str:
    """Return the host that a client would ask for *url*: what follows user and password, without the port."""
    authority = url.partition("://")[2]
    host = _HOST.match(unquote(authority.rpartition("@")[2]))
    return host.group() if host else ""


@frozen
class UrlDetector:
    """Finds URLs."""

    scheme: Any

    def find(self, text: str) -> Iterator[str]:
        """Yield the start of each URL, up to its path."""
        for match in self.scheme.finditer(text):
            authority = _AUTHORITY.match(text, match.end())
            if authority:
                yield match.group() + authority.group()


@frozen
class IpDetector:
    """Finds IP addresses in whatever may hold one."""

    token: Any

    def find(self, text: str) -> Iterator[str]:
        """Yield the addresses, without port, prefix length and zone."""
        for match in self.token.finditer(text):
            token = match.group()
            parts = token.split(":")
            yield from filter(_is_ip, (part.strip(".") for part in parts))
            if token.count(":") > 1:
                yield from filter(_is_ip, [_from_first_number(parts).rstrip(".")])


def _from_first_number(parts: list[str]) -> str:
    """Return *parts* without those at the start that are no part of an address, such as the name of a header."""
    start = 0
    while start < len(parts) and not _SIXTEEN_BITS.fullmatch(parts[start]):
        start += 1
    return ":".join(parts[start:])


def _is_ip(text: str) -> bool:
    if not _SHORTEST_IP <= len(text) <= _LONGEST_IP:
        return False
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return address.version == 4 or address == _LOOPBACK or address not in _IPV4_COMPATIBLE
