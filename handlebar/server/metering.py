"""What Prometheus reads: requests, decisions and times of this process; no ids, no tenants, no content."""

from __future__ import annotations

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from handlebar._plumbing.clock import monotonic

_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metering:
    """Counts what one app answers; lives as long as the app, thread-safe."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "handlebar_requests", "Requests answered", ("method", "route", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "handlebar_request_seconds", "Time to answer", ("route",), buckets=_BOUNDS, registry=self._registry
        )
        self._decisions = Counter("handlebar_decisions", "Calls decided", ("verdict",), registry=self._registry)

    def watch(self, app: Flask) -> None:
        """Count every request that *app* answers."""
        app.before_request(_started)
        app.after_request(self._watched)

    def answered(self, method: str, route: str, response: Response, began: float) -> None:
        """Count a request by the pattern of its path, answered since the monotonic time *began*."""
        self._requests.labels(method, route, str(response.status_code)).inc()
        self._seconds.labels(route).observe(monotonic() - began)

    def decided(self, verdict: str) -> None:
        """Count a decision."""
        self._decisions.labels(verdict).inc()

    def text(self) -> Response:
        """Return all that was counted."""
        return Response(generate_latest(self._registry), content_type=CONTENT_TYPE_LATEST)

    def _watched(self, response: Response) -> Response:
        # By its pattern: what somebody puts into a path must not make the numbers grow without bound.
        route = request.url_rule.rule if request.url_rule else "unknown"
        method = request.method if request.url_rule else "any"
        self.answered(method, route, response, g.started)
        return response


def _started() -> None:
    g.started = monotonic()
