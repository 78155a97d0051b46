"""All detectors by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

from handlebar.policy.detecting import addresses, credentials, numbers, phones
from handlebar.policy.detecting.finding import Detector

_MAKERS: Mapping[str, Callable[[], Detector]] = {
    "email": addresses.email,
    "email_domain": addresses.email_domain,
    "phone": phones.phone,
    "credit_card": numbers.credit_card,
    "iban": numbers.iban,
    "uk_nino": numbers.uk_nino,
    "ip_address": addresses.ip_addresses,
    "url": addresses.url,
    "jwt": credentials.jwt,
    "private_key": credentials.private_key,
    "secret_key": credentials.secret_key,
}

DETECTORS = tuple(_MAKERS)
"""The names of the detectors."""

CHECKS: Mapping[str, tuple[str, ...]] = {
    "email": ("domain", "tld"),
    "email_domain": ("domain", "tld"),
    "url": ("domain", "tld", "scheme"),
}
"""What can be asked of that which a detector found; of others, nothing."""


@cache
def detector(name: str) -> Detector:
    """
    Return the detector called *name*.

    Raises:
        ImportError: A library that it works with is not installed.
    """
    try:
        return _MAKERS[name]()
    except ImportError as error:
        raise ImportError(f"the detector {name} needs a library: pip install 'handlebar[embedded]'") from error
