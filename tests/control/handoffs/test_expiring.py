"""Packets that run out, whoever looks, and if nobody does."""

from __future__ import annotations

import pytest

from handlebar._plumbing.clock import Deadline
from handlebar.control.handoffs import expiring, packets
from handlebar.control.handoffs.expiring import expire_due
from tests.support.control import at_once
from tests.support.handoffs import QUESTION, Office, Somebody, a_draft

MINUTE = 60 * 10**9


class Clock:
    """The wall clock of the hand-offs, moved by hand."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 1_800_000_000 * 10**9
        for module in (expiring, packets):
            patch.setattr(module, "time_ns", lambda: self.now)

    def passes(self, *, minutes: float) -> None:
        """Let time pass."""
        self.now += int(minutes * MINUTE)


@pytest.fixture(name="clock")
def _clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_a_question_runs_out_in_its_time(clock: Clock, agent: Somebody) -> None:
    """A minute is a minute, though the packet is new; then it is gone for everybody."""
    packet = agent.makes(hitl={**QUESTION, "timeout_seconds": 60})
    clock.passes(minutes=0.9)
    assert "awaiting_human" == agent.does("GET", f"packets/{packet['id']}")["status"]
    clock.passes(minutes=0.2)
    assert "expired" == agent.does("GET", f"packets/{packet['id']}")["status"]
    reason = {"previous_status": "awaiting_human", "reason": "hitl_timeout"}
    assert ("expired", "system:expiry_task", reason) == agent.history(packet)[-1]
    answer = {"response": "yes", "responded_by": "ann"}
    assert 409 == agent.refused("POST", f"packets/{packet['id']}/respond", answer)[0]
    assert 410 == agent.refused("POST", f"packets/{packet['id']}/claim", {"agent_id": "a", "agent_name": "A"})[0]
    assert 409 == agent.refused("DELETE", f"packets/{packet['id']}")[0]
    assert [] == agent.does("GET", "packets/awaiting")["packets"]


def test_a_question_may_be_open_for_a_week(clock: Clock, agent: Somebody) -> None:
    """It is not cut at a day; and the one who claims after the answer has a day again."""
    packet = agent.makes(hitl={**QUESTION, "timeout_seconds": 7 * 86400})
    clock.passes(minutes=6 * 1440)
    agent.does("POST", f"packets/{packet['id']}/respond", {"response": "yes", "responded_by": "ann"})
    clock.passes(minutes=1439)
    assert "in_progress" == agent.moves(packet, "in_progress")["status"]


def test_what_nobody_touches_is_gone_after_a_day(clock: Clock, agent: Somebody) -> None:
    """Failed ones too, completed ones never; each touch begins a new day."""
    idle, failed = agent.makes("idle"), agent.moves(agent.makes("failed"), "failed")
    done = agent.moves(agent.claims(agent.makes("done")), "in_progress", "completed")
    busy = agent.makes("busy")
    clock.passes(minutes=1439)
    agent.does("PATCH", f"packets/{busy['id']}", {})
    clock.passes(minutes=2)
    assert {"busy", "done", "failed", "idle"} == set(agent.finds())
    statuses = [agent.does("GET", f"packets/{each['id']}")["status"] for each in (idle, failed, done, busy)]
    assert ["expired", "expired", "completed", "created"] == statuses
    assert {"previous_status": "failed", "reason": "ttl_exceeded"} == agent.history(failed)[-1][2]


def test_many_run_out_once_however_many_look(clock: Clock, office: Office, agent: Somebody) -> None:
    """Each expires with one event, though several sweep at once, and there are more than a sweep takes in one go."""
    made = []
    for _ in range(3):
        made += agent.does("POST", "packets/batch", {"packets": [a_draft()] * 40})["created"]
    other = office.somebody(tenant="other").makes()
    clock.passes(minutes=1441)
    sweeps = at_once([lambda: expire_due(office.database, Deadline.after(60))] * 4)
    assert 121 == sum(sweeps)
    assert 0 == expire_due(office.database, Deadline.after(60))
    assert 2 == len(agent.history(made[7]))
    assert "expired" == office.somebody(tenant="other").does("GET", f"packets/{other['id']}")["status"]


def test_a_claim_comes_too_late(clock: Clock, agent: Somebody) -> None:
    """Though nobody has looked in between."""
    packet = agent.makes()
    clock.passes(minutes=1441)
    assert 410 == agent.refused("POST", f"packets/{packet['id']}/claim", {"agent_id": "a", "agent_name": "A"})[0]
    assert "expired" == agent.history(packet)[-1][0]
