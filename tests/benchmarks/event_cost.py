"""What the agent's thread pays for an event, and what importing costs."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from handlebar.core.plane import EncodedEvent
from handlebar.core.schema.events import ErrorData, ErrorEvent
from handlebar.core.sinks.delivering import PlaneCourier
from handlebar.core.sinks.queued import QueuedSink, QueueSettings
from tests.benchmarks.peers import PEER
from tests.benchmarks.tables import Table, compared
from tests.benchmarks.timing import arm, medians

ITEM = ("agent-1", ErrorEvent(time_ns=0, run_id="run-1", data=ErrorData(scope="agent", message="bench")))
_FEW = 200
"""Events for which there is room in a queue."""

_IMPORT = "import time; t = time.perf_counter(); import handlebar.core{}; print((time.perf_counter() - t) * 1e3)"
# What is resident now; the most that ever was would be that of the process that was forked for it.
_MEMORY = (
    "resident = lambda: int(open('/proc/self/statm').read().split()[1]) * 4096 / 2**20; "
    "a = resident(); import handlebar.core{}; print(resident() - a)"
)
_ALL_OF_OURS = "; from handlebar.core import HandlebarClient, HandlebarClientConfig"


def a_sink() -> QueuedSink:
    """Return a sink with a queue of the documented size; what it delivers is encoded, and then thrown away."""

    def record(agent_id: str, batch_id: str, events: Sequence[EncodedEvent], *, budget: float) -> None:
        """Take them."""

    return QueuedSink(
        lambda tally: PlaneCourier(record, tally, room=50, close=lambda: None), QueueSettings(name="bench")
    )


def report(peer_python: Path | None) -> list[Table]:
    """Measure, and return the tables."""
    return [_events(), *_imports(peer_python)]


def _events() -> Table:
    sink = a_sink()
    put = arm(lambda: sink.put(ITEM))

    def with_room(calls: int) -> float:
        sink.drain()
        return put(min(calls, _FEW))

    figures = medians({"an event queued": with_room, "the queue is full": put}, calls=2_000)
    sink.close()
    return compared("What the agent's thread pays", figures, base="an event queued")


def _imports(peer_python: Path | None) -> list[Table]:
    pythons = {"handlebar": ([sys.executable], _ALL_OF_OURS)}
    if peer_python is not None:
        # Isolated: it must not find our package, which has the same name.
        pythons[PEER] = ([str(peer_python), "-I"], "")
    times = {name: _median_of(python, _IMPORT.format(what)) for name, (python, what) in pythons.items()}
    sizes = {name: _median_of(python, _MEMORY.format(what)) for name, (python, what) in pythons.items()}
    return [
        compared("Importing, client class included", times, unit="ms", base="handlebar"),
        compared("Memory for it", sizes, unit="MiB", base="handlebar"),
    ]


def _median_of(python: list[str], code: str) -> float:
    runs = [subprocess.run([*python, "-c", code], check=True, capture_output=True, text=True) for _ in range(7)]
    return statistics.median(float(run.stdout) for run in runs)
