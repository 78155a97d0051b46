"""Measures everything, and prints the tables of the README."""

from __future__ import annotations

from tests.benchmarks import control_plane, engine, event_cost, http_decision, hung_collector, web_requests
from tests.benchmarks.peers import peer_environment

with peer_environment() as peer_python:
    print(http_decision.report(peer_python), engine.report(), event_cost.report(peer_python), sep="\n\n")
print(f"\n{web_requests.report()}\n\n{hung_collector.report()}\n\n{control_plane.report()}")
