"""How long requests are waited for while nobody takes events: `python -m tests.benchmarks.hung_collector`."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from tests.benchmarks.tables import Cell, Table
from tests.support.http_server import Hang, HttpServer
from tests.support.web_servers import Kind, WebServer, gunicorn

APP = "tests.integrations.flask.site:app"
KINDS = (
    gunicorn("sync", "-w", "1"),
    gunicorn("gthread", "-w", "1", "--threads", "8"),
    gunicorn("gevent", "-w", "1"),
)
REQUESTS = 400


COLUMNS = (
    "One request, two events; ms",
    "off, p50",
    "off, p99",
    "events taken, p50",
    "events taken, p99",
    "nobody takes them, p50",
    "nobody takes them, p99",
    "dropped",
    "exit, s",
)


def report() -> list[Table]:
    """Measure, and return the table."""
    return [Table(COLUMNS, tuple(_row(kind) for kind in KINDS))]


def _row(kind: Kind) -> tuple[Cell, ...]:
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
        figures = [figure for each in times.values() for figure in (statistics.median(each), _slowest(each))]
        return kind.name, *figures, int(dropped), served["hung"].stop()


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
    print(*report())
