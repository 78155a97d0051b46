"""
Targets of webhooks: which URLs, and which addresses behind them, may be called.

Who registers a webhook makes this machine call where it could not call itself. So what is not out in the public
internet is refused, unless the operator has said otherwise; when the URL is registered, and again each time before
it is called, because a name may mean another address by then.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Sequence
from typing import Union
from urllib.parse import SplitResult, urlsplit

from attrs import frozen

from handlebar._plumbing.resolving import Target, resolved
from handlebar.errors import ConfigError

Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
Resolve = Callable[[str, int], Sequence[str]]
"""Returns the addresses of a host, as text; raises OSError where it has none."""

LONGEST_URL = 2048

_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]+\]")
_UNFIT = re.compile(r"[^\x21-\x7e]|[\\#]")
_PORTS = {"http": 80, "https": 443}
# They tell a machine's secrets to whoever asks from within it, in some clouds at public addresses.
_METADATA_NAMES = frozenset({"metadata", "metadata.google.internal", "metadata.goog", "instance-data"})
_PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")
# This network, private, shared (CGNAT), loopback, link-local, private, protocols, documentation, relays, private,
# tests, documentation twice, multicast, reserved; at last one cloud's services for the machines within it.
_SPECIAL_V4 = (
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 "
    "192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 "
    "168.63.129.16/32"
)
# Protocols with Teredo, documentation, 6to4, documentation; some carry any address of IPv4 within.
_SPECIAL_V6 = "2001::/23 2001:db8::/32 2002::/16 3fff::/20"
_SPECIAL = tuple(ipaddress.ip_network(each) for each in f"{_SPECIAL_V4} {_SPECIAL_V6}".split())


class TargetError(Exception):
    """A target that must not be called; its words say why, and may be told."""


@frozen
class Targets:
    """
    Tells which targets may be called; pure but for *resolve*.

    Attributes:
        resolve: Looks a name up.

        allowed: Networks that may be called although they are not public.
    """

    resolve: Resolve
    allowed: tuple[Network, ...] = ()

    def check(self, url: str) -> Target:
        """
        Return the target that *url* means now.

        Raises:
            TargetError: It must not be called, or means nothing.
        """
        parts, port = _parts(url)
        host = (parts.hostname or "").rstrip(".")
        if not host or host in _METADATA_NAMES:
            raise TargetError("This host must not be called")
        addresses = self._addresses(host, port)
        for each in addresses:
            self._check_address(each)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return Target(scheme=parts.scheme, host=host, port=port, path=path, addresses=addresses)

    def _addresses(self, host: str, port: int) -> tuple[str, ...]:
        try:
            found = tuple(dict.fromkeys(self.resolve(host, port)))
        except (OSError, UnicodeError) as error:
            raise TargetError("The host's name cannot be resolved") from error
        if not found:
            raise TargetError("The host has no address")
        return found

    def _check_address(self, text: str) -> None:
        # An address with a zone is link-local; ipaddress would look at what stands before it only.
        address = None if "%" in text else ipaddress.ip_address(text)
        if address is None or not (is_public(address) or any(address in network for network in self.allowed)):
            raise TargetError("The host's address is not one in the public internet")


def usual_targets() -> Targets:
    """
    Return the targets that the operator allows: the public internet, and the networks in `HANDLEBAR_WEBHOOK_ALLOW`.

    Raises:
        ConfigError: One of those is no network.
    """
    return Targets(resolved, read_networks(os.environ.get("HANDLEBAR_WEBHOOK_ALLOW", "")))


def is_public(address: Address) -> bool:
    """Whether *address* is that of one machine in the public internet, and no other way to say another."""
    if isinstance(address, ipaddress.IPv6Address) and address not in _PUBLIC_V6:
        return False
    return not any(address in network for network in _SPECIAL)


def read_networks(text: str) -> tuple[Network, ...]:
    """
    Return the networks that *text* lists, with commas between: `10.1.0.0/16, 127.0.0.1`.

    Raises:
        ConfigError: One of them is none.
    """
    return tuple(_network(part.strip()) for part in text.split(",") if part.strip())


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise ConfigError("webhook_allow", text, "networks, such as 10.1.0.0/16") from error


def _parts(url: str) -> tuple[SplitResult, int]:
    """Return the parts of *url* and its port; raises TargetError where it is not one that all programs read alike."""
    if len(url) > LONGEST_URL or _UNFIT.search(url):
        raise TargetError("The URL is too long, or has characters that must be percent-encoded")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise TargetError("The URL is malformed") from error
    if parts.scheme not in _PORTS:
        raise TargetError("The URL must begin with http:// or https://")
    if "@" in parts.netloc:
        raise TargetError("The URL must hold no user or password")
    if not _HOST.fullmatch(parts.netloc.rpartition(":")[0] if port is not None else parts.netloc.rstrip(":")):
        raise TargetError("The URL's host is malformed")
    if port == 0:
        raise TargetError("The URL's port is malformed")
    return parts, port or _PORTS[parts.scheme]
