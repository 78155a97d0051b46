"""Runs in the peer's environment: measures its decisions, and httpx alone, as it is told on standard input."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import threading
import time
from contextlib import asynccontextmanager

import httpx

from handlebar.core import AgentDescriptor, HandlebarClientConfig, RunConfig
from handlebar.core.api import manager
from handlebar.core.client import HandlebarClient

ARGS = {"order_id": "A-17", "amount": 40.0, "note": "the customer says that the parcel never came"}
PUBLISHED = manager.httpx.AsyncClient


async def started(endpoint: str):
    """Make a client and a run in one loop: made by its blocking calls, a run cannot be started."""
    config = HandlebarClientConfig(agent=AgentDescriptor(slug="bench"), api_key="key", api_endpoint=endpoint)
    client = await HandlebarClient.init(config)
    await client.ready()
    return await client.start_run(RunConfig(run_id="run-1"))


def blocking(endpoint: str, calls: int) -> float:
    """Return the median of its blocking call, as published."""
    run = asyncio.run(started(endpoint))
    times = []
    for _ in range(calls):
        began = time.perf_counter()
        decision = run.before_tool_sync("issue_refund", ARGS)
        times.append(time.perf_counter() - began)
    assert decision.message == "No rule matched", decision
    return statistics.median(times) * 1e6


async def one_loop(endpoint: str, calls: int) -> float:
    """Return the median of its awaited call on one loop, with one httpx client for all calls instead of one each."""
    async with PUBLISHED() as shared:

        @asynccontextmanager
        async def kept():
            yield shared

        manager.httpx.AsyncClient = kept
        try:
            run = await started(endpoint)
            times = []
            for _ in range(calls):
                began = time.perf_counter()
                decision = await run.before_tool("issue_refund", ARGS)
                times.append(time.perf_counter() - began)
        finally:
            manager.httpx.AsyncClient = PUBLISHED
    assert decision.message == "No rule matched", decision
    return statistics.median(times) * 1e6


def httpx_alone(endpoint: str, threads: int, seconds: float) -> float:
    """Return how many such requests a second *threads* make with one httpx client between them."""
    body = {"phase": "tool.before", "agentId": "agent-1", "tool": {"name": "issue_refund"}, "args": ARGS}
    counts = []
    with httpx.Client(limits=httpx.Limits(max_connections=threads, max_keepalive_connections=threads)) as client:

        def ask() -> None:
            count, end = 0, time.perf_counter() + seconds
            while time.perf_counter() < end:
                assert client.post(f"{endpoint}/v1/runs/run-1/evaluate", json=body).json()["verdict"] == "ALLOW"
                count += 1
            counts.append(count)

        working = [threading.Thread(target=ask) for _ in range(threads)]
        for each in working:
            each.start()
        for each in working:
            each.join()
    assert len(counts) == threads
    return sum(counts) / seconds


def main() -> None:
    endpoint = f"http://127.0.0.1:{sys.argv[1]}"
    for line in sys.stdin:
        name, *how = json.loads(line)
        if name == "blocking":
            figure = blocking(endpoint, *how)
        elif name == "one loop":
            figure = asyncio.run(one_loop(endpoint, *how))
        else:
            figure = httpx_alone(endpoint, *how)
        print(figure, flush=True)


main()
