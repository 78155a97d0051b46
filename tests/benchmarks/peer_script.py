"""Runs in the peer's environment: times its calls as it is told on standard input."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time

from handlebar.core import AgentDescriptor, HandlebarClientConfig, RunConfig
from handlebar.core.client import HandlebarClient

ARGS = {"order_id": "A-17", "amount": 40.0, "note": "the customer says that the parcel never came"}


async def started(endpoint: str):
    """Make a client and a run in one loop: made by its blocking calls, a run cannot be started."""
    config = HandlebarClientConfig(agent=AgentDescriptor(slug="bench"), api_key="key", api_endpoint=endpoint)
    client = await HandlebarClient.init(config)
    await client.ready()
    return await client.start_run(RunConfig(run_id="run-1"))


def blocking(endpoint: str, calls: int) -> float:
    run = asyncio.run(started(endpoint))
    times = []
    for _ in range(calls):
        began = time.perf_counter()
        decision = run.before_tool_sync("issue_refund", ARGS)
        times.append(time.perf_counter() - began)
    assert decision.message == "No rule matched", decision
    return statistics.median(times) * 1e6


async def one_loop(endpoint: str, calls: int) -> float:
    run = await started(endpoint)
    times = []
    for _ in range(calls):
        began = time.perf_counter()
        decision = await run.before_tool("issue_refund", ARGS)
        times.append(time.perf_counter() - began)
    assert decision.message == "No rule matched", decision
    return statistics.median(times) * 1e6


def main() -> None:
    endpoint = f"http://127.0.0.1:{sys.argv[1]}"
    for line in sys.stdin:
        name, calls = json.loads(line)
        median = blocking(endpoint, calls) if name == "blocking" else asyncio.run(one_loop(endpoint, calls))
        print(median, flush=True)


main()
