"""How many packets a tenant may make in a day, as its operators have set."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from handlebar._plumbing.clock import time_ns
from handlebar.control.handoffs.problems import ProblemError
from handlebar.control.tables import handoff_packets, tenants

_DAY = 24 * 3600 * 1_000_000


def check(connection: Connection, tenant: str) -> None:
    """
    Look whether the tenant may make another packet today, by UTC; call it in the transaction that makes it.

    Raises:
        ProblemError: It has made as many as it may (429).
    """
    limit = connection.execute(select(tenants.c.handoffs_per_day).where(tenants.c.id == tenant)).scalar()
    if limit is None:
        return
    now = time_ns() // 1000
    today = (handoff_packets.c.tenant == tenant, handoff_packets.c.created_at >= now - now % _DAY)
    made = connection.execute(select(func.count()).select_from(handoff_packets).where(*today)).scalar_one()
    if made >= limit:
        raise ProblemError(429, f"The tenant has made the {limit} packets that it may make in a day")
