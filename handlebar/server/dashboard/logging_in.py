"""Logging in with a key or a link, and out, here or everywhere."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, redirect, render_template, request, url_for

from handlebar.control.browser_access import BrowserAccess
from handlebar.control.keys import KeyRecord
from handlebar.server.dashboard.sessions import COOKIE, Guesses, Sessions

_ROLES = ("viewer", "admin")


class LoggingIn:
    """The pages that need no session; lives as long as the app."""

    def __init__(self, access: BrowserAccess, sessions: Sessions) -> None:
        self._access = access
        self._sessions = sessions
        self._guesses = Guesses()

    def add_to(self, blueprint: Blueprint) -> None:
        """Let *blueprint* answer these pages."""
        blueprint.add_url_rule("/log-in", "log_in", self._show, methods=["GET"])
        blueprint.add_url_rule("/log-in", "logging_in", self._log_in, methods=["POST"])
        blueprint.add_url_rule("/link/<secret>", "link", self._link, methods=["GET"])
        blueprint.add_url_rule("/link/<secret>", "using_link", self._use_link, methods=["POST"])
        blueprint.add_url_rule("/log-out", "log_out", self._log_out, methods=["POST"])

    def _show(self, wrong: str | None = None, status: int = 200) -> Response:
        page = render_template("handlebar/log_in.html", wrong=wrong, next=request.values.get("next"))
        return Response(page, status)

    def _log_in(self) -> Any:
        address = request.remote_addr or ""
        if self._guesses.too_many(address):
            return self._show("Too many keys were wrong. Wait five minutes, then try again.", 429)
        key = self._access.key_for_login(request.form.get("key", "").strip())
        if key is None:
            self._guesses.failed(address)
            return self._show("There is no such key, or it has been revoked.", 401)
        return self._admit(key)

    def _link(self, secret: str) -> str:
        """Show a button: whoever only looks at a link, such as a mail program, must not use it up."""
        return render_template("handlebar/link.html", secret=secret)

    def _use_link(self, secret: str) -> Any:
        address = request.remote_addr or ""
        key = None if self._guesses.too_many(address) else self._access.use_link(secret)
        if key is None:
            self._guesses.failed(address)
            return self._show("This link has been used, or is older than ten minutes.", 401)
        return self._admit(key)

    def _admit(self, key: KeyRecord) -> Any:
        if key.role not in _ROLES:
            return self._show(f"A key of the role {key.role!r} is for programs. Log in as a viewer or an admin.", 403)
        answer: Any = redirect(_safe(request.form.get("next")) or url_for(".overview"), 303)
        self._sessions.begin(key, answer, secure=request.is_secure)
        return answer

    def _log_out(self) -> Any:
        session = self._sessions.of(request)
        if session is not None and not self._sessions.is_forged(request, session):
            if request.form.get("everywhere"):
                self._access.log_out_everywhere(session.key.id)
            answer: Any = redirect(url_for(".log_in"), 303)
            answer.delete_cookie(COOKIE, path="/")
            return answer
        return redirect(url_for(".overview"), 303)


def _safe(path: str | None) -> str | None:
    """Return *path* where it leads nowhere but to us."""
    if not path or not path.startswith("/") or path.startswith(("//", "/\\")):
        return None
    parts = urlsplit(path)
    return None if parts.scheme or parts.netloc else path
