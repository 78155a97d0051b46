"""Which request it is: its own id, and its place in a distributed trace."""

from __future__ import annotations

import re
from collections.abc import Callable

from handlebar.core.open_telemetry import current_traceparent
from handlebar.core.schema.events import RequestIdentity

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_REQUEST_ID = re.compile(r"[!-~]{1,128}")


def identity_from(header: Callable[[str], str | None]) -> RequestIdentity | None:
    """
    Return which request it is, None where nothing tells.

    Headers are the sender's words: what is not well formed is left out.

    Args:
        header: Gives a header by its name.
    """
    request_id = _matching(_REQUEST_ID, header("X-Request-Id"))
    traceparent = _matching(_TRACEPARENT, header("traceparent")) or current_traceparent()
    return RequestIdentity(request_id, traceparent) if request_id or traceparent else None


def _matching(pattern: re.Pattern[str], text: str | None) -> str | None:
    return text if text is not None and pattern.fullmatch(text) else None
