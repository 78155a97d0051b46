"""Measures everything, prints the tables of the README, and writes their figures as JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from tests.benchmarks import (
    control_plane,
    engine,
    event_cost,
    http_decision,
    hung_collector,
    threads,
    web_requests,
)
from tests.benchmarks.peers import KERNEL, PEER, peer_environment
from tests.benchmarks.tables import Table


def _tables() -> Iterator[Table]:
    with ExitStack() as stack:
        peer = stack.enter_context(peer_environment(PEER))
        kernel = stack.enter_context(peer_environment(KERNEL))
        yield from http_decision.report(peer)
        yield from threads.report(peer)
        yield from engine.report(kernel)
        yield from event_cost.report(peer)
    yield from web_requests.report()
    yield from hung_collector.report()
    yield from control_plane.report()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("build", "benchmarks.json"), metavar="FILE")
    written: Path = parser.parse_args().json
    tables = []
    for table in _tables():
        tables.append(table)
        print(table, end="\n\n", flush=True)
    machine = {"python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count()}
    written.parent.mkdir(parents=True, exist_ok=True)
    written.write_text(json.dumps({**machine, "tables": [table.as_json() for table in tables]}, indent=1) + "\n")
    print(f"Written to {written}")


main()
