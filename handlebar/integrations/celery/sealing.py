"""Seals on what travels in a message's headers: it comes from whoever has the key, and belongs to one task."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Protocol

from attrs import field, frozen

from handlebar._plumbing import safe_json

_MARK = "seal"


class Sealing(Protocol):
    """Says whether what a header holds is to be believed."""

    def sealed(self, content: Mapping[str, Any], purpose: str) -> dict[str, Any]:
        """Return *content* as it is sent for that *purpose*."""
        ...

    def is_good(self, content: Mapping[str, Any], purpose: str) -> bool:
        """Whether *content* may be believed, for that *purpose*."""
        ...


@frozen
class NoSealing:
    """Without a key everything is believed: headers are as trustworthy as the broker."""

    def sealed(self, content: Mapping[str, Any], purpose: str) -> dict[str, Any]:
        """Return *content* as it is."""
        return dict(content)

    def is_good(self, content: Mapping[str, Any], purpose: str) -> bool:
        """Believe it."""
        return True


@frozen
class KeyedSealing:
    """Believes what was sealed with the same key, for the same purpose: HMAC with SHA-256."""

    key: bytes = field(repr=False)

    def sealed(self, content: Mapping[str, Any], purpose: str) -> dict[str, Any]:
        """Return *content* with its seal."""
        return {**content, _MARK: self._seal(content, purpose)}

    def is_good(self, content: Mapping[str, Any], purpose: str) -> bool:
        """Whether the seal is that of *content*."""
        seal = content.get(_MARK)
        bare = {key: part for key, part in content.items() if key != _MARK}
        return isinstance(seal, str) and hmac.compare_digest(seal.encode(), self._seal(bare, purpose).encode())

    def _seal(self, content: Mapping[str, Any], purpose: str) -> str:
        text = safe_json.canonical([purpose, content])
        return hmac.new(self.key, text.encode(), hashlib.sha256).hexdigest()
