"""Checks of a control plane over HTTP: whether it answers, whether the key is good, whether the clocks agree."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from attrs import frozen

from handlebar.cli.checks.finding import Finding

_MOST_SKEW = 30.0
"""So many seconds two clocks may differ before windows and expiries are noticeably wrong."""


@frozen
class _Answer:
    """The head of an answer."""

    status: int
    date: str | None


def endpoint_findings(url: str, key: str | None, timeout: float) -> Iterator[Finding]:
    """Yield what is found of the control plane at *url*."""
    parts = urlsplit(url)
    if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        yield Finding("endpoint", "doubtful", "the key travels unencrypted", "Use https:// in HANDLEBAR_API_ENDPOINT.")
    try:
        health = _asked(url, "/healthz", None, timeout)
        known = _asked(url, "/v1/agents/handlebar-doctor/status", key, timeout)
    except (OSError, http.client.HTTPException, ValueError) as error:
        advice = "Check the host, the port, the firewall, the proxy and the certificate between here and there."
        yield Finding("endpoint", "bad", f"{parts.hostname} does not answer: {error}", advice)
        return
    yield Finding("endpoint", "good", f"{parts.hostname} answers (status {health.status} at /healthz)")
    yield _of_key(known.status, key)
    yield _of_clock(health.date)


def _asked(url: str, path: str, key: str | None, timeout: float) -> _Answer:
    """Ask once, past proxies and pools: what is checked is the way there."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            parts.hostname or "", parts.port, timeout=timeout, context=ssl.create_default_context()
        )
    else:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        connection.request("GET", f"{parts.path.rstrip('/')}{path}", headers=headers)
        answer = connection.getresponse()
        return _Answer(answer.status, answer.getheader("date"))
    finally:
        connection.close()


def _of_key(status: int, key: str | None) -> Finding:
    if not key:
        return Finding("key", "bad", "HANDLEBAR_API_KEY is not set", "Make one with `handlebar keys create`.")
    if status in (401, 403):
        advice = "Make a new one with `handlebar keys create NAME --role agent`; it may have been revoked."
        return Finding("key", "bad", f"it is refused (status {status})", advice)
    if status >= 500:
        return Finding("key", "bad", f"the control plane failed (status {status})", "Look at its log and database.")
    return Finding("key", "good", "it is accepted")


def _of_clock(date: str | None) -> Finding:
    try:
        there = parsedate_to_datetime(date or "")
    except ValueError:
        return Finding("clock", "skipped", "the control plane does not say what time it is")
    skew = (datetime.now(timezone.utc) - there).total_seconds()
    if abs(skew) <= _MOST_SKEW:
        return Finding("clock", "good", "it agrees with the control plane's")
    side = "ahead of" if skew > 0 else "behind"
    return Finding(
        "clock", "bad", f"it is {abs(skew):.0f} s {side} the control plane's", "Let NTP set the clocks of both hosts."
    )
