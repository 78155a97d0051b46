"""Sessions of people in browsers: signed cookies, tokens against forged requests, and a limit on guessing keys."""

from __future__ import annotations

import hmac
import secrets
import threading
from collections import OrderedDict

from attrs import frozen
from flask import Request, Response
from itsdangerous import BadSignature, URLSafeTimedSerializer

from handlebar._plumbing.clock import monotonic, time_ns
from handlebar.control.browser_access import BrowserAccess
from handlebar.control.keys import KeyRecord

COOKIE = "handlebar_session"
SECONDS = 12 * 3600
"""How long a session lasts."""

_FAILURES = 10
_WINDOW_SECONDS = 300.0
_MOST_ADDRESSES = 10_000


@frozen
class Session:
    """
    Somebody who has logged in.

    Attributes:
        csrf: What every form of the session carries, and no other site knows.
    """

    key: KeyRecord
    csrf: str

    @property
    def tenant(self) -> str:
        """Whose things are shown."""
        return self.key.tenant

    @property
    def may_change(self) -> bool:
        """Whether anything may be changed; everybody else sees no buttons."""
        return self.key.role == "admin"


class Sessions:
    """Begins, finds and ends sessions; thread-safe and fork-safe."""

    def __init__(self, access: BrowserAccess) -> None:
        self._access = access
        self._serializer: URLSafeTimedSerializer | None = None

    def begin(self, key: KeyRecord, response: Response, *, secure: bool) -> None:
        """Give the browser that gets *response* a session with *key*."""
        told = {"key": key.id, "at": time_ns() // 1000, "csrf": secrets.token_urlsafe(24)}
        signed = self._signer().dumps(told)
        response.set_cookie(COOKIE, signed, max_age=SECONDS, secure=secure, httponly=True, samesite="Lax", path="/")

    def of(self, request: Request) -> Session | None:
        """Return the session that *request* belongs to; None where there is none that is good."""
        cookie = request.cookies.get(COOKIE)
        if not cookie:
            return None
        try:
            told = self._signer().loads(cookie, max_age=SECONDS)
        except BadSignature:
            return None
        key = self._access.key_of_session(told["key"], told["at"])
        return None if key is None else Session(key, told["csrf"])

    def is_forged(self, request: Request, session: Session) -> bool:
        """Whether *request* comes from another site than ours."""
        token = request.headers.get("x-csrf-token") or request.form.get("csrf", "")
        return not hmac.compare_digest(token.encode(), session.csrf.encode())

    def _signer(self) -> URLSafeTimedSerializer:
        # Read when first needed: an app is made before its database is opened.
        if self._serializer is None:
            self._serializer = URLSafeTimedSerializer(self._access.signing_key(), salt="handlebar dashboard")
        return self._serializer


class Guesses:
    """Counts failed log-ins by address, in this process; ten in five minutes, and no more are looked at."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: OrderedDict[str, list[float]] = OrderedDict()

    def too_many(self, address: str) -> bool:
        """Whether the address has to wait."""
        with self._lock:
            return len(self._recent(address)) >= _FAILURES

    def failed(self, address: str) -> None:
        """Note that a log-in from that address failed."""
        with self._lock:
            self._failures[address] = [*self._recent(address), monotonic()]
            self._failures.move_to_end(address)
            if len(self._failures) > _MOST_ADDRESSES:
                self._failures.popitem(last=False)

    def _recent(self, address: str) -> list[float]:
        since = monotonic() - _WINDOW_SECONDS
        return [at for at in self._failures.get(address, ()) if at > since]
