"""Many threads that share one client: decisions and agent steps a second, and what becomes of their events."""

from __future__ import annotations

import queue
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from handlebar.core import (
    Handlebar,
    HandlebarClientConfig,
    HttpSinkConfig,
    LLMMessage,
    LLMResponse,
    ModelInfo,
    RunConfig,
    TokenUsage,
)
from tests.benchmarks.event_cost import ITEM, a_sink
from tests.benchmarks.fixed_server import fixed_server
from tests.benchmarks.http_decision import ARGS, decide
from tests.benchmarks.peers import peer_process
from tests.benchmarks.tables import Cell, Table
from tests.support.control import a_policy, a_rule

MODEL = ModelInfo(name="gpt-4o", provider="openai")
ROUNDS = 3
SECONDS = 1.0
THREADS = (1, 8, 32)
BURST = 5_000
QUEUES = {"500, sent by 50": (500, 50), "2,000, sent by 200": (2_000, 200)}
"""Events that wait at most, and how many are sent at once: as documented, and wider."""

_RULE = a_rule({"kind": "toolArg", "type": "number", "path": "amount", "op": "gt", "value": 500}, tool="issue_refund")

Rate = Callable[[], float]


def report(peer_python: Path | None) -> list[Table]:
    """Measure, and return the tables."""
    return [_decisions(peer_python), _steps(), _puts(), _bursts()]


def _decisions(peer_python: Path | None) -> Table:
    with (
        fixed_server() as port,
        _client(_over_http(port)) as client,
        peer_process(peer_python, "peer_decisions.py", port) as ask,
    ):
        rates: dict[tuple[str, int], Rate] = {}
        for number in THREADS:
            rates["handlebar, before_tool_sync", number] = _repeated(client, number, decide)
            if ask is not None:
                rates["httpx alone, one client", number] = partial(ask, "httpx", number, SECONDS)
        return Table(("Decisions over HTTP", "threads", "a second"), _rows(rates))


def _steps() -> Table:
    with fixed_server() as port, tempfile.TemporaryDirectory() as folder:
        embedded = {"api_endpoint": f"sqlite:///{Path(folder) / 'steps.db'}", "policies": [a_policy(_RULE)]}
        with _client(_over_http(port)) as remote, _client(embedded) as local:
            rates: dict[tuple[str, int], Rate] = {}
            for number in THREADS:
                rates["over HTTP", number] = _repeated(remote, number, _step)
                rates["in process, on SQLite", number] = _repeated(local, number, _step)
            title = "Agent steps: to the model and back, a tool called and done"
            return Table((title, "threads", "a second"), _rows(rates))


def _rows(rates: dict[tuple[str, int], Rate]) -> tuple[tuple[Cell, ...], ...]:
    rounds = [{which: rate() for which, rate in rates.items()} for _ in range(ROUNDS)]
    return tuple((*which, round(statistics.median(each[which] for each in rounds))) for which in rates)


def _over_http(port: int) -> dict[str, Any]:
    return {"api_key": "key", "api_endpoint": f"http://127.0.0.1:{port}"}


@contextmanager
def _client(settings: dict[str, Any]) -> Iterator[Any]:
    client = Handlebar.init_sync(HandlebarClientConfig("bench", poll_seconds=0, **settings))
    try:
        yield client
    finally:
        client.shutdown_sync()


def _repeated(client: Any, threads: int, act: Callable[[Any], object]) -> Rate:
    """Return what tells how often a second *threads*, each with a run of its own, get *act* done."""

    def rate() -> float:
        counts: list[int] = []

        def work() -> None:
            run = client.start_run_sync(RunConfig(uuid4().hex))
            count, end = 0, time.perf_counter() + SECONDS
            while time.perf_counter() < end:
                act(run)
                count += 1
            counts.append(count)
            run.end_sync("success")

        _all(work, threads)
        return sum(counts) / SECONDS

    return rate


def _message(run: Any) -> None:
    run.before_llm_sync([LLMMessage(role="user", content="Where is order A-17?")])


def _step(run: Any) -> None:
    _message(run)
    run.after_llm_sync(LLMResponse([], MODEL, usage=TokenUsage(input_tokens=31, output_tokens=9)))
    decide(run)
    run.after_tool_sync("issue_refund", ARGS, ["shipped"], duration_ms=4.2)


def _puts() -> Table:
    """Let eight threads queue events at once: what each waits for it."""
    bare: queue.Queue[object] = queue.Queue()
    with closing(a_sink()) as sink:
        rows = (
            ("an event, the queue full", *_times(lambda: sink.put(ITEM))),
            ("`queue.Queue` alone", *_times(lambda: bare.put_nowait(ITEM))),
        )
    return Table(("8 threads put, as fast as they can", "p50 µs", "p99 µs"), rows)


def _times(put: Callable[[], object]) -> tuple[float, float]:
    """Return in microseconds what half of the calls of eight threads take at most, and 99 of 100."""
    times: list[float] = []

    def work() -> None:
        mine = []
        for _ in range(BURST):
            began = time.perf_counter()
            put()
            mine.append(time.perf_counter() - began)
        times.extend(mine)

    _all(work, 8)
    return statistics.median(times) * 1e6, statistics.quantiles(times, n=100)[98] * 1e6


def _bursts() -> Table:
    makers = {"of decisions": decide, "of messages, as fast as they can": _message}
    rows = tuple(
        (maker, queued, *_burst(make, *sizes)) for maker, make in makers.items() for queued, sizes in QUEUES.items()
    )
    return Table((f"{BURST:,} events, by 32 threads", "queue", "sent", "dropped, counted"), rows)


def _burst(make: Callable[[Any], object], depth: int, batch: int) -> tuple[int, int]:
    """Let 32 threads make events; return how many arrive, and how many are told of as lost."""
    with fixed_server() as port:
        sinks = [HttpSinkConfig(queue_depth=depth, max_batch_size=batch)]
        with _client({**_over_http(port), "sinks": sinks}) as client:
            run = client.start_run_sync(RunConfig(uuid4().hex))
            _all(lambda: [make(run) for _ in range(BURST // 32)], 32)
            run.end_sync("success")
            stats = client.stats()
    return stats.events_sent, sum(stats.events_dropped.values())


def _all(work: Callable[[], object], threads: int) -> None:
    with ThreadPoolExecutor(threads) as pool:
        for each in [pool.submit(work) for _ in range(threads)]:
            each.result()
