"""
Who answers at a URL.

A URL's scheme is mapped to the exchange that speaks it, and that is imported when it is first asked for.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import SplitResult, urlsplit

from handlebar.handoff.exceptions import ValidationError, invalid
from handlebar.handoff.exchange import Exchange

ALLOWED = "needs http://…, https://…, sqlite:///file.db or postgresql+psycopg://…"


def open_exchange(base_url: str, api_key: str | None, *, timeout: float, session: Any = None) -> Exchange:
    """
    Return the exchange for *base_url*, with or without `/api/v1` at its end; opens no socket and no file.

    Raises:
        ValidationError: The URL or the key cannot be used, or what the scheme needs is not installed.
    """
    if not isinstance(base_url, str):
        raise invalid("base_url", ALLOWED)
    url = base_url.strip()
    scheme = url.partition(":")[0].lower()
    if scheme in ("http", "https"):
        return _over_http(url, _checked(api_key), timeout=timeout, session=session)
    if scheme.partition("+")[0] in ("sqlite", "postgresql"):
        return _embedded(url, api_key)
    raise invalid("base_url", ALLOWED)


def _over_http(url: str, api_key: str, *, timeout: float, session: Any) -> Exchange:
    from handlebar.handoff.http_exchange import PREFIX, HttpExchange

    parts = _split(url)
    path = parts.path.rstrip("/").removesuffix(PREFIX).rstrip("/")
    root = f"{parts.scheme}://{parts.netloc}{path}"
    return HttpExchange(root, api_key, timeout=timeout, session=session)


def _embedded(url: str, api_key: str | None) -> Exchange:
    try:
        from handlebar.control.handoff_exchange import open_exchange as embedded
    except ModuleNotFoundError as error:
        needed = 'needs a URL over HTTP, or the extra: pip install "handlebar[embedded]"'
        raise invalid("base_url", f"{needed} ({error.name} is not installed)") from error
    exchange: Exchange = embedded(url, api_key)
    return exchange


def _split(url: str) -> SplitResult:
    """Return the URL's parts; what no request could reach is told now, and not by a retry after the other."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
        url.encode("ascii")
        (host or "").encode("idna")
    except ValueError as error:
        raise _bad_url() from error
    if not host or parts.query or parts.fragment or any(letter.isspace() for letter in url):
        raise _bad_url()
    return parts


def _bad_url() -> ValidationError:
    # Not the URL itself: it may hold a password.
    return invalid("base_url", "needs a URL such as https://host:8080/api/v1, in ASCII and without a query")


def _checked(api_key: str | None) -> str:
    """Return *api_key* without the line end of the file that it was read from."""
    key = api_key.strip() if isinstance(api_key, str) else ""
    if not (key and key.isascii() and key.isprintable()):
        raise invalid("api_key", "needs a key of printable ASCII characters")
    return key
