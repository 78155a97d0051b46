"""Which request it is: what is taken from its headers, and from OpenTelemetry."""

from __future__ import annotations

import pytest

from handlebar.core.schema.events import RequestIdentity
from handlebar.integrations.serving.identity import identity_from

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"X-Request-Id": "r-1"}, RequestIdentity("r-1")),
        ({"traceparent": PARENT}, RequestIdentity(None, PARENT)),
        ({"X-Request-Id": "r-1", "traceparent": PARENT}, RequestIdentity("r-1", PARENT)),
        ({"X-Request-Id": "a b", "traceparent": "00-x"}, None),
        ({"X-Request-Id": "r" * 129}, None),
        ({"X-Request-Id": "r\n"}, None),
    ],
)
def test_headers(headers: dict[str, str], expected: RequestIdentity | None) -> None:
    """What is well formed is taken, anything else is left out."""
    assert expected == identity_from(headers.get)
