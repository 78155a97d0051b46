"""Several servers on one database, and servers that die."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from handlebar.core.client import HandlebarClient
from tests.support.control import a_limit, a_policy, a_rule, at_once
from tests.support.servers import Served, servers
from tests.support.waiting import eventually

LIMIT = a_policy(a_rule(a_limit(40, per="agent")))


@pytest.mark.slow
def test_two_servers_agree_on_a_limit(tmp_path: Path) -> None:
    """Eight threads race for forty places by way of two servers on one database; exactly forty calls are allowed."""
    with servers(2, tmp_path / "plane.db", LIMIT) as both, ExitStack() as stack:
        clients = [stack.enter_context(each.client()) for each in both]

        def race(client: HandlebarClient) -> int:
            with client.run() as run:
                return sum(run.before_tool_sync("refund", {}).allowed for _ in range(10))

        assert 40 == sum(at_once([lambda client=client: race(client) for client in clients * 4]))


@pytest.mark.slow
def test_a_server_killed_under_load_lets_no_call_too_many_through(tmp_path: Path) -> None:
    """When one of two servers is killed among decisions, the other goes on, and the limit holds over both."""
    allowed = [0]
    counting = threading.Lock()
    with servers(2, tmp_path / "plane.db", LIMIT) as (doomed, witness), ExitStack() as stack:

        def ask(served: Served, calls: int) -> None:
            with served.client(decision_timeout=1.0) as client, client.run() as run:
                for _ in range(calls):
                    answer = run.before_tool_sync("refund", {}).allowed
                    with counting:
                        allowed[0] += answer

        asking = [threading.Thread(target=ask, args=(doomed, 50)) for _ in range(4)]
        for thread in asking:
            thread.start()
        assert eventually(lambda: allowed[0] >= 10, seconds=30)
        os.kill(doomed.process.pid, signal.SIGKILL)
        for thread in asking:
            thread.join(60)
        before = allowed[0]
        client = stack.enter_context(witness.client())
        with client.run() as run:
            after = [run.before_tool_sync("refund", {}).allowed for _ in range(50)]
    # Each thread may have had one call in flight that took its place, and whose answer never came.
    assert 40 - 4 <= before + sum(after) <= 40
    assert not after[-1]
