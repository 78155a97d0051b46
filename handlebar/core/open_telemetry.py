"""The OpenTelemetry span that the code at hand runs in, where the application uses OpenTelemetry."""

from __future__ import annotations

import sys
from typing import Any

from handlebar.core.schema.events import OtelIds


def current_ids() -> OtelIds | None:
    """Return the ids of the current span, None where there is none."""
    span = _current_span()
    return None if span is None else OtelIds(f"{span.trace_id:032x}", f"{span.span_id:016x}")


def current_traceparent() -> str | None:
    """Return the current span as the header `traceparent` names it, None where there is none."""
    span = _current_span()
    return None if span is None else f"00-{span.trace_id:032x}-{span.span_id:016x}-{int(span.trace_flags):02x}"


def _current_span() -> Any:
    """Return the context of the current span; where nobody has imported OpenTelemetry, there is none."""
    api = sys.modules.get("opentelemetry.trace")
    if api is None:
        return None
    try:
        context = api.get_current_span().get_span_context()
        return context if context.is_valid else None
    except Exception:  # no event is lost because tracing is broken
        return None
