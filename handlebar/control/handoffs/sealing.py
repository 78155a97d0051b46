"""
The secrets of webhooks at rest: sealed with a key that is not in the database, where the operator gives one.

The key is any text of at least 32 characters in `HANDLEBAR_SECRETS_KEY`, the same in every process; of several with
commas between the first one seals, and all can open. Without one, secrets are kept as they are.
"""

from __future__ import annotations

import base64
import hashlib
import os
from typing import Any

from handlebar.errors import ConfigError

_SETTING = "HANDLEBAR_SECRETS_KEY"
_SEALED = "sealed:"
_PLAIN = "plain:"
_SHORTEST = 32


class SealError(Exception):
    """A secret that cannot be opened; its words may be told."""


def sealed(secret: str) -> str:
    """
    Return what is kept of *secret*.

    Raises:
        ConfigError: The operator's key is too short, or what seals is not installed.
    """
    keys = _keys()
    return _SEALED + _box(keys).encrypt(secret.encode()).decode() if keys else _PLAIN + secret


def opened(kept: str) -> str:
    """
    Return the secret.

    Raises:
        SealError: It was sealed with a key that is not among the operator's.
    """
    if kept.startswith(_PLAIN):
        return kept.removeprefix(_PLAIN)
    try:
        token: bytes = _box(_keys()).decrypt(kept.removeprefix(_SEALED).encode())
    # Among others the library's own, which is not imported where there is no key.
    except Exception as error:
        raise SealError(f"The webhook's secret cannot be opened with {_SETTING} as it is now") from error
    return token.decode()


def _keys() -> list[str]:
    keys = [key.strip() for key in os.environ.get(_SETTING, "").split(",") if key.strip()]
    if any(len(key) < _SHORTEST for key in keys):
        raise ConfigError(_SETTING, "…", f"texts of at least {_SHORTEST} characters")
    return keys


def _box(keys: list[str]) -> Any:
    try:
        from cryptography.fernet import Fernet, MultiFernet
    except ImportError as error:
        raise ConfigError(_SETTING, "…", 'the extra as well: pip install "handlebar[server]"') from error
    return MultiFernet([Fernet(base64.urlsafe_b64encode(hashlib.sha256(key.encode()).digest())) for key in keys])
