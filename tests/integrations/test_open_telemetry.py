"""OpenTelemetry's span on every event."""

from __future__ import annotations

import threading

import pytest

from handlebar.core.schema.events import OtelIds
from handlebar.integrations.serving.identity import identity_from
from tests.support.clients import client_on
from tests.support.planes import ScriptedPlane

trace = pytest.importorskip("opentelemetry.trace", reason="opentelemetry-api is not installed")
sdk = pytest.importorskip("opentelemetry.sdk.trace", reason="opentelemetry-sdk is not installed")


def ids(span: object) -> OtelIds:
    """Return the ids of *span* as events tell them."""
    context = span.get_span_context()  # type: ignore[attr-defined]  # OpenTelemetry may be missing
    return OtelIds(trace.format_trace_id(context.trace_id), trace.format_span_id(context.span_id))


def test_events_tell_their_span(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each event has the span that it happened in; outside of any, the one that its run was started in."""
    plane = ScriptedPlane()
    client = client_on(plane, monkeypatch)
    tracer = sdk.TracerProvider().get_tracer("test")
    with tracer.start_as_current_span("request") as outer, client.run() as run:
        with tracer.start_as_current_span("call") as inner:
            run.before_tool_sync("refund", {})
        thread = threading.Thread(target=run.after_tool_sync, args=("refund", {}, 1))
        thread.start()
        thread.join()
    client.drain_sync()
    told = {event.kind: event.otel for event in plane.events}
    expected = {"run.started": outer, "tool.decision": inner, "tool.result": outer, "run.ended": outer}
    assert {kind: ids(span) for kind, span in expected.items()} == told


def test_without_a_span(monkeypatch: pytest.MonkeyPatch) -> None:
    """No span, no ids; a span that is not valid counts for none."""
    plane = ScriptedPlane()
    with client_on(plane, monkeypatch).run(), trace.use_span(trace.INVALID_SPAN):
        pass
    assert {None} == {event.otel for event in plane.events}


def test_the_request_takes_its_traceparent_from_the_span() -> None:
    """Where the header is missing, the current span says where the request stands."""
    with sdk.TracerProvider().get_tracer("test").start_as_current_span("request") as span:
        identity = identity_from(lambda name: None)
    found = ids(span)
    assert identity is not None
    assert f"00-{found.trace_id}-{found.span_id}" == str(identity.traceparent)[:-3]
