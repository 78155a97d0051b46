"""
Soak: a hundred thousand runs through one client, ended and never ended, embedded and over HTTP.

    python -m tests.benchmarks.soak [runs]

Memory, threads and file descriptors are read after a warm-up and at the end.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from attrs import frozen

from handlebar.core import Handlebar, HandlebarClientConfig, RunConfig, active_runs
from handlebar.core.client import HandlebarClient
from tests.support.control import a_limit, a_policy, a_rule
from tests.support.waiting import eventually

RUNS = 100_000
WARM_UP = 2 * active_runs.MAX_ACTIVE + 2_000
"""Until then a client's memory grows by design: of the runs that are never ended it remembers so many."""
THREADS = 4
NAMES = ("embedded", "http")
POLICY = a_policy(a_rule(a_limit(1000), name="many"))
_CHUNKS = 64


@frozen
class Reading:
    """What a process holds at one moment."""

    kibibytes: int
    threads: int
    descriptors: int

    @classmethod
    def now(cls) -> Reading:
        """Read it from Linux, after a collection."""
        gc.collect()
        status = Path("/proc/self/status").read_text()
        resident = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return cls(int(resident.split()[1]), threading.active_count(), len(os.listdir("/proc/self/fd")))


@frozen
class Soaked:
    """A soak's readings, after the warm-up and at the end, and what became of its events."""

    warm: Reading
    end: Reading
    runs: int
    seconds: float
    unaccounted: int

    @property
    def bytes_a_run(self) -> float:
        """By how much memory has grown with each run."""
        return (self.end.kibibytes - self.warm.kibibytes) * 1024 / self.runs


def soak(client: HandlebarClient, *, runs: int = RUNS, warm_up: int = WARM_UP, settle: Callable[[], object]) -> Soaked:
    """
    Send *runs* runs through *client*, every other of them never ended, after *warm_up* runs that do not count.

    Before each reading *settle* is called, which waits for what other threads have to do.
    """
    _send(client, "warm", warm_up)
    settle()
    warm, began = Reading.now(), time.monotonic()
    _send(client, "soak", runs)
    settle()
    end = Reading.now()
    client.drain_sync()
    stats = client.stats()
    fates = stats.events_queued + stats.events_sent + sum(stats.events_dropped.values())
    return Soaked(warm, end, runs, time.monotonic() - began, _events(warm_up) + _events(runs) - fates)


def _events(runs: int) -> int:
    """Return how many events so many runs have: a start, a decision, a result, and every other an end."""
    return 3 * runs + runs // 2


def _send(client: HandlebarClient, name: str, runs: int) -> None:
    starts = range(0, runs, max(1, runs // _CHUNKS))
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(lambda start: _send_some(client, name, range(start, min(start + starts.step, runs))), starts):
            pass


def _send_some(client: HandlebarClient, name: str, numbers: range) -> None:
    for number in numbers:
        run = client.start_run_sync(RunConfig(f"{name}-{number}", actor=f"actor-{number}"))
        run.before_tool_sync("refund", {"number": number, "text": "x" * 200})
        run.after_tool_sync("refund", {"number": number}, "done")
        if number % 2:
            run.end_sync()


@contextmanager
def client_of(name: str, *, folder: Path) -> Iterator[HandlebarClient]:
    """Open a client of the kind *name*, `embedded` or `http`."""
    with ExitStack() as stack:
        if name == "embedded":
            config = {"api_endpoint": f"sqlite:///{folder / 'soak.db'}", "policies": [POLICY]}
        else:
            # In another process, so that only the client's own memory is read.
            from tests.support.servers import a_key, servers

            file = folder / "served.db"
            (server,) = stack.enter_context(servers(1, file, POLICY))
            config = {"api_endpoint": server.url, "api_key": a_key(file, "agent").secret}
        client = Handlebar.init_sync(HandlebarClientConfig("soak", **config))  # type: ignore[arg-type]  # by name
        stack.callback(client.shutdown_sync)
        yield client


def settled(client: HandlebarClient) -> None:
    """Wait until nothing is queued."""
    eventually(lambda: client.stats().events_queued == 0, seconds=60)


def main(runs: int = RUNS) -> None:
    """Soak in both ways and print the readings."""
    for name in NAMES:
        with tempfile.TemporaryDirectory() as folder, client_of(name, folder=Path(folder)) as client:
            done = soak(client, runs=runs, settle=lambda client=client: settled(client))
            print(f"{name}: {runs} runs in {done.seconds:.0f} s, {done.bytes_a_run:+.0f} bytes a run")
            print(f"  {done.unaccounted} events of which nobody knows what became")
            for when, reading in (("warm", done.warm), ("end ", done.end)):
                print(f"  {when} {reading.kibibytes} KiB, {reading.threads} threads, {reading.descriptors} descriptors")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
