"""Who may ask: API keys, their roles and their tenants."""

from __future__ import annotations

import hashlib

from flask import Request

from handlebar._plumbing.clock import monotonic
from handlebar.control.keys import KeyRecord, KeyRing, Role
from handlebar.server.problems import ProblemError

REMEMBERED_SECONDS = 0.5
"""A key that was good is not looked up again for so long; so long, too, does a revoked one still work."""

_MOST_REMEMBERED = 1000
# Who is there for hand-offs only may do nothing here.
_RANKS: dict[Role, int] = {"reader": -1, "writer": -1, "agent": 0, "viewer": 1, "admin": 2}
_CHALLENGE = {"www-authenticate": 'Bearer realm="handlebar"'}


class Access:
    """Tells who asks; lives as long as the app, thread-safe and fork-safe."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys
        self._good: dict[bytes, tuple[float, KeyRecord]] = {}

    def tenant_of(self, request: Request, role: Role) -> str:
        """
        Return the tenant that *request* is made for.

        Raises:
            ProblemError: It has no key that is good (401), or one whose role is lower than *role* (403).
        """
        key = self.key_of(request)
        if key is None:
            raise ProblemError(401, "Send an API key that is valid, as a bearer token", headers=_CHALLENGE)
        if _RANKS[key.role] < _RANKS[role]:
            raise ProblemError(403, f"This needs a key of the role {role!r}")
        return key.tenant

    def key_of(self, request: Request) -> KeyRecord | None:
        """Return the key that *request* is made with; None where it has none that is good."""
        return self.key(secret_in(request))

    def key(self, secret: str) -> KeyRecord | None:
        """Return the key that *secret* is; None where it is none that is good."""
        return self._key(secret) if secret else None

    def _key(self, secret: str) -> KeyRecord | None:
        mark = hashlib.sha256(secret.encode(errors="backslashreplace")).digest()
        until, known = self._good.get(mark, (0.0, None))
        now = monotonic()
        if known is not None and now < until:
            return known
        found = self._keys.find(secret)
        if found is not None:
            if len(self._good) >= _MOST_REMEMBERED:
                self._good.clear()
            # By the time before it was looked up: it may have been revoked since.
            self._good[mark] = (now + REMEMBERED_SECONDS, found)
        return found


def secret_in(request: Request) -> str:
    """Return what *request* has for a key, an empty text where it has none."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else request.headers.get("x-api-key", "").strip()
