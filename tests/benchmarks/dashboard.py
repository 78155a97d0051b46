"""
The dashboard's pages on a database of many runs and events: `python -m tests.benchmarks.dashboard --help`.

The events are short, and as chained and marked as if they had come one by one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from attrs import frozen
from flask.testing import FlaskClient
from sqlalchemy import Connection, insert

from handlebar._plumbing.clock import Deadline, time_ns
from handlebar.control.audit import chained
from handlebar.control.database import Database
from handlebar.control.keys import KeyRing
from handlebar.control.run_marks import mark
from handlebar.control.service import open_control_plane
from handlebar.control.tables import approvals, chains, events, run_marks, runs, usage_hours, usage_of_actors
from handlebar.core.schema.agents import AgentDescriptor, Tool
from handlebar.server import create_app
from tests.benchmarks.tables import Table
from tests.benchmarks.timing import ROUNDS, arm, medians
from tests.support.control import a_policy, a_rule

AGENTS = 40
_ACTORS = 5_000
_MONTH = 30 * 24 * 3600 * 10**6
_HOUR = 3600 * 10**6
_AT_ONCE = 2_000
_LONG = 2_000
"""So many events has the longest run."""

_PATIENT = 10**6
_LARGE = {"kind": "toolArg", "type": "number", "path": "amount", "op": "gt", "value": 500}
_POLICIES = [a_policy(a_rule(_LARGE), name=f"policy {number}") for number in range(20)]
_TS = "2026-07-01T12:00:00.000000Z"


@frozen(kw_only=True)
class Size:
    """How much there is."""

    runs: int
    events: int

    def events_of(self, number: int) -> int:
        """Return how many events the run of that number has; the first is long."""
        return _LONG if number == 0 else max(1, (self.events - _LONG) // max(1, self.runs - 1))


def report(url: str, size: Size, *, fill: bool = True) -> Table:
    """Fill the database at *url*, measure every page, and return the table."""
    if fill:
        _fill(url, size)
    database = Database(url)
    with closing(database):
        secret = KeyRing(database).create("bench", role="admin", tenant="default").secret
    app = create_app(url, policies=_POLICIES)
    with closing(app.extensions["handlebar"]):
        client = app.test_client()
        client.post("/dashboard/log-in", data={"key": secret})
        arms = {name: arm(_looking(client, path)) for name, path in _pages(client, size).items()}
        figures = medians(arms, calls=5)
    title = f"Dashboard, {size.runs:,} runs, {size.events:,} events, median of {ROUNDS * 5}"
    return Table((title, "ms"), tuple((name, value / 1000) for name, value in figures.items()))


def _looking(client: FlaskClient, path: str) -> Any:
    def look() -> None:
        answer = client.get(f"/dashboard{path}")
        assert 200 == answer.status_code, f"{path}: {answer.text}"

    return look


def _pages(client: FlaskClient, size: Size) -> dict[str, str]:
    """Return the pages' paths by what the table calls them."""
    policy = client.get("/dashboard/policies").text.split('<h2 id="policy-1"><a href="/dashboard')[1].split('"')[0]
    return {
        "overview": "/",
        "overview, 30 days": "/?days=30",
        "chart, 30 days": "/charts/decisions.svg?days=30",
        "runs": "/runs",
        "runs, far back": "/runs?until=2001-01-01T00:00",
        "runs of an agent": "/runs?agent=agent-7",
        "runs of an actor": "/runs?actor=user-77",
        "runs with a block": "/runs?verdict=BLOCK",
        "runs with a block, of an agent": "/runs?verdict=BLOCK&agent=agent-7",
        "runs of an actor with a block": "/runs?verdict=BLOCK&actor=user-77",
        "runs by a rare rule": "/runs?rule=rare/rule",
        "runs by a tag": "/runs?tag=payments&status=error",
        "a run": f"/runs/run-{size.runs // 2}",
        f"a run of {_LONG:,} events": "/runs/run-0",
        "inbox": "/inbox",
        "policies": "/policies",
        "a policy": policy,
        "the editor": "/edit-policy",
        "agents": "/agents",
        "hand-offs": "/handoffs",
        "keys": "/keys",
        "webhooks": "/webhooks",
    }


def _fill(url: str, size: Size) -> None:
    database = Database(url)
    with closing(open_control_plane(url, policies=_POLICIES)) as plane, closing(database):
        described = [AgentDescriptor(f"agent-{number}", tags=["prod"]) for number in range(AGENTS)]
        tools = [Tool(f"tool-{number}", "does something", ["payments"]) for number in range(10)]
        agents = [plane.register_agent(each, tools, budget=_PATIENT) for each in described]
        for first in range(0, size.runs, _AT_ONCE):
            numbers = range(first, min(size.runs, first + _AT_ONCE))
            with database.write(Deadline.after(_PATIENT)) as connection:
                _add_runs(connection, agents, size, numbers)
        with database.write(Deadline.after(_PATIENT)) as connection:
            _add_usage(connection, agents, size)
            connection.execute(insert(approvals), list(_approvals(agents, size)))


def _add_runs(connection: Connection, agents: list[str], size: Size, numbers: range) -> None:
    rows: dict[Any, list[dict[str, Any]]] = {runs: [], events: [], chains: [], run_marks: []}
    for number in numbers:
        agent_id, started_at = agents[number % AGENTS], _started_at(number, size)
        of_run = {"agent_id": agent_id, "run_id": f"run-{number}"}
        actor = {"session_id": f"session-{number // 3}", "actor_id": f"user-{number % _ACTORS}"}
        ended = {"status": ("success", "error")[number % 10 == 0], "ended_at": started_at + 10**6}
        rows[runs].append({"agent_id": agent_id, "id": f"run-{number}", **actor, "started_at": started_at, **ended})
        head, length = "", size.events_of(number)
        for place in range(length):
            kind, body = _event(number, place)
            head = chained(head, body)
            rows[events].append({**of_run, "kind": kind, "ts": _TS, "body": body, "hash": head})
        rows[chains].append({**of_run, "length": length, "head": head})
        rows[run_marks] += [{**of_run, "mark": each, "started_at": started_at} for each in _marks(number)]
    for table, listed in rows.items():
        connection.execute(insert(table), listed)


def _started_at(number: int, size: Size) -> int:
    now = time_ns() // 1000
    return now - _MONTH + number * _MONTH // size.runs


def _event(number: int, place: int) -> tuple[str, str]:
    verdict = "BLOCK" if number % 10 == 0 else "ALLOW"
    tool = {"name": f"tool-{place % 10}"}
    decision = {"verdict": verdict, "tool": tool, "args": {"amount": place, "to": "a@b.example"}}
    kinds: tuple[tuple[str, dict[str, Any]], ...] = (
        ("message.raw.created", {"role": "user", "content": "Please refund my order A-17, it was too small"}),
        ("tool.decision", decision),
        ("tool.result", {"tool": tool, "outcome": "success", "durationMs": 12.5}),
        ("llm.result", {"tokens": {"in": 1000, "out": 100}, "model": {"name": "gpt-4o"}}),
    )
    kind, data = kinds[place % len(kinds)]
    return kind, json.dumps({"kind": kind, "runId": f"run-{number}", "ts": _TS, "data": data})


def _marks(number: int) -> Iterator[str]:
    yield mark("verdict", "BLOCK" if number % 10 == 0 else "ALLOW")
    yield mark("tag", "payments")
    if number % 10 == 0:
        yield mark("rule", "often/rule")
    if number % 20_000 == 0:
        yield mark("rule", "rare/rule")


def _add_usage(connection: Connection, agents: list[str], size: Size) -> None:
    """Add what the runs have done, hour by hour."""
    counts = {"allowed": 5, "blocked": 1, "waiting": 0, "tokens_in": 9_000, "tokens_out": 900}
    of_agents: Counter[tuple[Any, ...]] = Counter()
    of_actors: Counter[tuple[Any, ...]] = Counter()
    for number in range(size.runs):
        agent_id, hour = agents[number % AGENTS], _started_at(number, size) // _HOUR
        of_agents[agent_id, hour] += 1
        of_actors[agent_id, hour, f"user-{number % _ACTORS}"] += 1
    for table, found in ((usage_hours, of_agents), (usage_of_actors, of_actors)):
        rows = [
            {
                **dict(zip(("agent_id", "hour", "actor_id"), key, strict=False)),
                **{name: times * value for name, value in counts.items()},
                "runs": times,
                "cost_usd": times * 0.01,
                "events_lost": 0,
            }
            for key, times in found.items()
        ]
        connection.execute(insert(table), rows)


def _approvals(agents: list[str], size: Size) -> Iterator[dict[str, Any]]:
    """Yield ten thousand questions that were answered, and thirty that wait."""
    chance = random.Random(7)
    for number in range(10_030):
        of_run = chance.randrange(size.runs)
        yield {
            "id": f"approval-{number}",
            "agent_id": agents[of_run % AGENTS],
            "run_id": f"run-{of_run}",
            "rule_id": "often/rule",
            "tool_name": f"tool-{number % 10}",
            "args": '{"amount": 900}',
            "fingerprint": hashlib.sha256(str(number).encode()).hexdigest(),
            "status": "used" if number < 10_000 else "pending",
            "required": 1,
            "uses_left": 1,
            "created_at": _started_at(of_run, size),
        }


def main() -> None:
    """Fill a database, measure, and print."""
    parser = argparse.ArgumentParser(description="Measures the dashboard's pages.")
    parser.add_argument("--runs", type=int, default=200_000)
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--database", help="the URL of an empty database; a new SQLite file without it")
    parser.add_argument("--filled", action="store_true", help="the database was filled before")
    asked = parser.parse_args()
    size = Size(runs=asked.runs, events=asked.events)
    with tempfile.TemporaryDirectory() as folder:
        url = asked.database or f"sqlite:///{Path(folder) / 'dashboard.db'}"
        print(report(url, size, fill=not asked.filled))


if __name__ == "__main__":
    main()
