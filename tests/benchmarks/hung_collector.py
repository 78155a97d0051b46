"""How long requests are waited for while nobody takes events: `python -m tests.benchmarks.hung_collector`."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from tests.support.http_server import Hang, HttpServer
from tests.support.web_servers import Kind, WebServer, gunicorn

APP = "tests.integrations.flask.site:app"
KINDS = (
    gunicorn("sync", "-w", "1"),
    gunicorn("gthread", "-w", "1", "--threads", "8"),
    gunicorn("gevent", "-w", "1"),
)
REQUESTS = 400


def report() -> str:
    """Measure, and return the table: milliseconds until half of the answers were there, and 99 of 100."""
    lines = ["| one request, two events | off | events taken | nobody takes them | dropped | exit, s |"]
    lines.append("|---|---:|---:|---:|---:|---:|")
    return "\n".join([*lines, *(_row(kind) for kind in KINDS)])


def _row(kind: Kind) -> str:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        well, hung = stack.enter_context(HttpServer()), stack.enter_context(HttpServer())
        hung.behave(Hang(), path="/events")

        def serve(plane: HttpServer, enabled: str) -> WebServer:
            return stack.enter_context(
                kind.serves(APP, folder, SITE_CONTROL_PLANE=plane.url, HANDLEBAR_ENABLED=enabled)
            )

        served = {"off": serve(well, "false"), "well": serve(well, "true"), "hung": serve(hung, "true")}
        times = _times(served)
        dropped = served["hung"].get("/stats").json()["dropped"]
        figures = " | ".join(f"{statistics.median(each):.1f}, {_slowest(each):.1f}" for each in times.values())
        return f"| {kind.name} | {figures} | {dropped} | {served['hung'].stop():.1f} |"


def _times(served: Mapping[str, WebServer]) -> dict[str, list[float]]:
    """Ask one after the other, in turns, so that a busy moment hits all alike."""
    times: dict[str, list[float]] = {name: [] for name in served}
    for _ in range(REQUESTS):
        for name, server in served.items():
            began = time.perf_counter()
            assert 200 == server.get("/quick").status
            times[name].append((time.perf_counter() - began) * 1e3)
    return times


def _slowest(times: list[float]) -> float:
    return statistics.quantiles(times, n=100)[98]


if __name__ == "__main__":
    print(report())
