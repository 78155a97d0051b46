"""HTTP requests to an address that was chosen before: no name is looked up, no proxy asked, no redirect followed."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from typing import Any

import requests
import urllib3
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from handlebar._plumbing.bounded_reading import Call, bounded, current_call
from handlebar._plumbing.clock import Deadline
from handlebar._plumbing.resolving import Target
from handlebar._plumbing.version import version

MOST_BYTES = 4096
"""So much of an answer is read, for the log; the rest is left unread."""

_NOT_SENT = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)
_FAILURES = (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError)


class SendingError(Exception):
    """No answer came; its words say why, and hold nothing of what was sent."""


def post(target: Target, body: bytes, headers: Mapping[str, str], *, deadline: Deadline) -> tuple[int, str]:
    """
    Send *body*; return the status of the answer, and where that is not 2xx the beginning of what it says.

    Raises:
        SendingError: No answer came by the *deadline*.
    """
    call = Call(deadline, deadline.remaining())
    token = current_call.set(call)
    try:
        return _sent(target, body, headers, call)
    except TimeoutError as error:
        raise SendingError("No answer came in time") from error
    except _FAILURES as error:
        words = "No answer came in time" if deadline.passed else f"No answer came ({_kind(error)})"
        raise SendingError(words) from error
    finally:
        current_call.reset(token)


def _sent(target: Target, body: bytes, headers: Mapping[str, str], call: Call) -> tuple[int, str]:
    """Send to the first address that lets us connect."""
    *others, last = target.addresses
    for address in others:
        try:
            return _sent_to(address, target, body, headers, call)
        except _NOT_SENT:
            continue
    return _sent_to(last, target, body, headers, call)


def _sent_to(address: str, target: Target, body: bytes, headers: Mapping[str, str], call: Call) -> tuple[int, str]:
    pool = _pool(address, target)
    patience = call.patience()
    try:
        answer: Any = pool.urlopen(
            "POST",
            target.path,
            body=body,
            headers={"host": _authority(target), "user-agent": f"handlebar/{version()}", **headers},
            retries=False,
            redirect=False,
            assert_same_host=False,
            timeout=urllib3.Timeout(connect=patience, read=patience),
            preload_content=False,
            decode_content=False,
        )
        try:
            refused = not 200 <= answer.status < 300
            return answer.status, answer.read(MOST_BYTES).decode(errors="replace") if refused else ""
        finally:
            answer.close()
    finally:
        pool.close()


def _pool(address: str, target: Target) -> Any:
    if target.scheme == "http":
        pool: Any = urllib3.HTTPConnectionPool(address, target.port)
    else:
        pool = urllib3.HTTPSConnectionPool(
            address,
            target.port,
            cert_reqs="CERT_REQUIRED",
            ca_certs=_authorities(),
            server_hostname=target.host,
            assert_hostname=target.host,
        )
    pool.ConnectionCls = bounded(pool.ConnectionCls)
    return pool


def _authorities() -> str:
    """Return the file of certificate authorities that requests would trust here."""
    with requests.Session() as session:
        chosen = session.merge_environment_settings("https://", {}, False, None, None)["verify"]
    return chosen if isinstance(chosen, str) else DEFAULT_CA_BUNDLE_PATH


def _authority(target: Target) -> str:
    host = f"[{target.host}]" if ":" in target.host else target.host
    usual = {"http": 80, "https": 443}[target.scheme]
    return host if target.port == usual else f"{host}:{target.port}"


def _kind(error: BaseException) -> str:
    """Return the name of the first cause of *error*."""
    reason = getattr(error, "reason", None)
    cause = reason if isinstance(reason, BaseException) else error.__cause__ or error.__context__
    return type(error).__name__ if cause is None or cause is error else _kind(cause)
