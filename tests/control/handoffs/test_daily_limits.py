"""How many packets a tenant may make in a day."""

from __future__ import annotations

import pytest

from handlebar.control.handoffs import daily_limits, packets
from tests.support.handoffs import Office, a_draft

DAY = 24 * 3600 * 10**9


def test_as_many_as_are_set(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is 429, a batch too; the next day there are as many again; a chain goes on whatever was made."""
    now = daily_limits.time_ns() // DAY * DAY
    for module in (daily_limits, packets):
        monkeypatch.setattr(module, "time_ns", lambda: now)
    tenant = office.somebody().does("POST", "tenants", {"name": "small", "handoffs_per_day": 2})["id"]
    agent = office.somebody("agent", tenant=tenant)
    first, _ = agent.makes(), agent.makes()
    assert 429 == agent.refused("POST", "packets", a_draft())[0]
    assert 429 == agent.refused("POST", "packets/batch", {"packets": [a_draft()]})[0]
    agent.does("POST", f"packets/{first['id']}/chain", a_draft())
    office.somebody("agent").makes()
    now += DAY
    assert "new day" == agent.makes("new day")["context"]["summary"]
