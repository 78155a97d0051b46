"""A wall clock that jumps."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Any

import pytest

from handlebar._plumbing import clock
from handlebar.core import RunConfig
from tests.faults.conftest import MakeClient
from tests.support.http_server import Answer, Hang, HttpServer
from tests.support.waiting import eventually

YEAR = 365 * 24 * 3600
MARGIN = 5.0


class Jumping:
    """The wall clock, some years off."""

    def __init__(self) -> None:
        self.years = 0

    def time(self) -> float:
        return self.time_ns() / 1e9

    def time_ns(self) -> int:
        return REAL_TIME_NS() + self.years * YEAR * 10**9


REAL_TIME_NS = time.time_ns


@pytest.fixture(name="wall")
def _wall(monkeypatch: pytest.MonkeyPatch) -> Jumping:
    wall = Jumping()
    monkeypatch.setattr(time, "time", wall.time)
    monkeypatch.setattr(time, "time_ns", wall.time_ns)
    monkeypatch.setattr(clock, "time_ns", wall.time_ns)
    monkeypatch.setattr("handlebar.core.audit_trail.time_ns", wall.time_ns)
    return wall


@pytest.mark.parametrize("years", [-20, 20], ids=["back", "forward"])
def test_deadlines_hold(server: HttpServer, a_client: MakeClient, wall: Jumping, years: int) -> None:
    """Row 18: a decision under way, a time to live and the sending of events go on by the monotonic clock."""
    client = a_client(decision_timeout=1.0)
    run = client.start_run_sync(RunConfig("run-1", run_ttl_ms=60_000))
    assert "No rule matched" == run.before_tool_sync("refund", {}).message
    wall.years = years
    server.behave(Hang(), path="/evaluate", times=1)
    began = time.monotonic()
    assert "No rule matched" != run.before_tool_sync("refund", {}).message
    assert time.monotonic() - began < 1.0 + MARGIN
    assert "No rule matched" == run.before_tool_sync("refund", {}).message
    assert not run.is_ended
    assert eventually(lambda: len(server.events()) >= 4)


@pytest.mark.parametrize("years", [-20, 20], ids=["back", "forward"])
def test_a_time_to_live_passes(a_client: MakeClient, wall: Jumping, years: int) -> None:
    """Row 18: neither at once nor never."""
    run = a_client(sinks=[]).start_run_sync(RunConfig("run-1", run_ttl_ms=300))
    wall.years = years
    assert not run.is_ended
    assert eventually(lambda: run.is_ended)
    assert "timeout" == run.status


def test_stamps_are_the_wall_clocks(server: HttpServer, a_client: MakeClient, wall: Jumping) -> None:
    """Row 18: who reads the events compares them with other logs of that machine; durations are never negative."""
    client = a_client()
    run = client.start_run_sync(RunConfig("run-1"))
    for years in (0, -20, 20):
        wall.years = years
        run.before_tool_sync("refund", {})
    client.shutdown_sync()
    told = [event for event in server.events() if event["kind"] == "tool.decision"]
    now = datetime.now(timezone.utc).year
    years_told = [datetime.fromisoformat(event["ts"].replace("Z", "+00:00")).year for event in told]
    assert [0, -20, 20] == [_rounded(year - now) for year in years_told]
    assert all(0 <= _latency(event) for event in told)


def test_a_retry_after_date_under_a_jumped_clock(server: HttpServer, a_client: MakeClient, wall: Jumping) -> None:
    """Row 18: twenty years by this clock are ten seconds at most by ours."""
    wall.years = -20
    header = {"retry-after": datetime.now(timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT")}
    server.behave(Answer(503, {}, header), path="/v1/runs/events", times=1)
    client = a_client()
    run = client.start_run_sync(RunConfig("run-1"))
    run.before_tool_sync("refund", {})
    assert eventually(lambda: len(server.events()) >= 2, seconds=20)


def _rounded(years: int) -> int:
    """Leap days move a jump by days, which at the turn of a year show as a year."""
    return min((-20, 0, 20), key=lambda each: abs(each - years))


def _latency(event: dict[str, Any]) -> float:
    return float(event["data"].get("latencyMs", event["data"].get("latency_ms", 0)))
