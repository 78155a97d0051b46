"""Events for tests of sinks."""

from __future__ import annotations

from handlebar.core.schema.events import AuditEvent, ErrorData, ErrorEvent


def an_event(number: int, message: str | None = None) -> AuditEvent:
    """Return an event that can be told from others by its message."""
    data = ErrorData(scope="agent", message=str(number) if message is None else message)
    return ErrorEvent(time_ns=number * 1000, run_id="run-1", data=data)


def events(count: int, start: int = 0) -> list[AuditEvent]:
    """Return events numbered from *start*."""
    return [an_event(number) for number in range(start, start + count)]
