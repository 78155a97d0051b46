"""Decisions made in this process by a control plane's policies, against a server on loopback."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import field, frozen

from handlebar.control import snapshots
from handlebar.control.snapshots import REFRESH_SECONDS, STALE_SECONDS
from handlebar.core.client import HandlebarClient
from handlebar.core.config import Evaluate, HandlebarClientConfig
from handlebar.core.schema.governance import FAILCLOSED_DECISION, Decision, LockdownCause
from tests.support.clock import Clock
from tests.support.control import a_limit, a_policy, a_rule
from tests.support.forks import in_child
from tests.support.loopback import listening
from tests.support.servers import Caller, a_place
from tests.support.waiting import eventually, threads_named


def a_ban(tool: str, **more: Any) -> Any:
    """Return a policy that blocks one tool."""
    return a_policy(a_rule({"kind": "toolName", "op": "eq", "value": tool}), **{"name": f"no {tool}", **more})


@frozen
class Served:
    """A server in this process, on loopback."""

    admin: Caller
    url: str
    requests: list[str]
    clients: list[HandlebarClient] = field(factory=list)

    def client(self, evaluate: Evaluate = "local", **config: Any) -> HandlebarClient:
        """Return a client that decides what it can by itself."""
        settings = {"fail_closed": True, "api_key": self.admin.secret, "api_endpoint": self.url, **config}
        made = HandlebarClient.init_sync(HandlebarClientConfig("desk", evaluate=evaluate, **settings))
        self.clients.append(made)
        return made

    def asked(self, ending: str) -> int:
        """Return how many requests went to paths that end so."""
        return sum(path.endswith(ending) for path in self.requests)


@contextmanager
def serving(file: Path, *policies: Any) -> Iterator[Served]:
    """Serve a database, and note what is asked."""
    requests: list[str] = []
    with a_place(file, *policies) as place, listening(_noting(place.app, requests)) as url:
        served = Served(place.caller(), url, requests)
        try:
            yield served
        finally:
            for client in served.clients:
                client.shutdown_sync()


def _noting(app: Any, requests: list[str]) -> Any:
    def noted(environ: Any, start_response: Any) -> Any:
        requests.append(environ["PATH_INFO"])
        return app(environ, start_response)

    return noted


@pytest.fixture(name="clock")
def _clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time by which snapshots grow old."""
    clock = Clock()
    monkeypatch.setattr(snapshots, "monotonic", clock)
    return clock


@pytest.fixture(name="served")
def _served(tmp_path: Path) -> Iterator[Served]:
    limit = a_policy(a_rule(a_limit(1), tool="refund", name="one"), name="limit")
    ask = a_policy(
        a_rule({"kind": "toolName", "op": "eq", "value": "wire"}, "hitl", tool="wire", name="ask"), name="ask"
    )
    with serving(tmp_path / "plane.db", a_ban("drop"), limit, ask) as served:
        yield served


def decided(client: HandlebarClient, tool: str) -> Decision:
    """Return the decision on a call in a run of its own."""
    with client.run() as run:
        return run.before_tool_sync(tool, {})


@pytest.mark.parametrize("evaluate", ["local", "auto"])
def test_what_needs_nothing_shared_is_decided_here(served: Served, evaluate: Evaluate) -> None:
    """From the first call on no request is made for it; limits and questions to people go to the control plane."""
    client = served.client(evaluate)
    with client.run() as run:
        assert [False, True] == [run.before_tool_sync(tool, {}).allowed for tool in ("drop", "look")]
        assert 0 == served.asked("/evaluate")
        assert [True, False] == [run.before_tool_sync("refund", {}).allowed for _ in range(2)]
        assert "HITL_PENDING" == run.before_tool_sync("wire", {}).cause.kind
        assert 3 == served.asked("/evaluate")
    who = [decision.decided_by for decision in run.decisions]
    assert ["local", "local", "control_plane", "control_plane", "control_plane"] == who
    versions = {decision.policy_versions for decision in run.decisions}
    assert [{"ask", "limit", "no-drop"}] == [{each.policy_id for each in named} for named in versions]


def test_a_change_is_felt_after_a_while(served: Served, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new policy and a lockdown reach what is decided here with the next look, and name themselves."""
    monkeypatch.setattr(snapshots, "REFRESH_SECONDS", 0.02)
    client = served.client()
    assert decided(client, "look").allowed
    served.admin.does("PUT", "/v1/policies/put", a_ban("look"))
    assert eventually(lambda: not decided(client, "look").allowed)
    served.admin.does("PUT", "/v1/agents/desk/lockdown", {"reason": "leak", "tool": "read"})
    assert eventually(lambda: isinstance(decided(client, "read").cause, LockdownCause))
    assert "local" == decided(client, "read").decided_by
    served.admin.does("DELETE", "/v1/agents/desk/lockdown", {"tool": "read"})
    assert eventually(lambda: decided(client, "read").allowed)


def test_an_answer_that_tells_of_a_change_is_heeded(served: Served) -> None:
    """When the control plane decides by other versions, or a lockdown, what is held is trusted no more at once."""
    client = served.client("auto")
    assert decided(client, "look").allowed
    served.admin.does("PUT", "/v1/policies/put", a_ban("look"))
    decided(client, "refund")
    assert not decided(client, "look").allowed
    with client.run() as run:
        assert run.before_tool_sync("read", {}).allowed
        served.admin.does("PUT", "/v1/agents/desk/lockdown", {"reason": "leak"})
        with client.run() as later:
            assert isinstance(later.before_tool_sync("read", {}).cause, LockdownCause)
        assert isinstance(run.before_tool_sync("read", {}).cause, LockdownCause)


def test_what_is_stale_is_not_used(served: Served, clock: Clock) -> None:
    """After the limit `auto` asks the control plane, and `local` asks it for the policies first."""
    auto, local = served.client("auto"), served.client("local")
    assert ["local", "local"] == [decided(client, "look").decided_by for client in (auto, local)]
    served.admin.does("PUT", "/v1/policies/put", a_ban("look"))
    clock.now += STALE_SECONDS
    with auto.run() as run:
        assert ("control_plane", False) == (
            (stale := run.before_tool_sync("look", {})).decided_by,
            stale.allowed,
        )
    fresh = decided(local, "look")
    assert ("local", False) == (fresh.decided_by, fresh.allowed)


def test_without_the_control_plane(tmp_path: Path, clock: Clock) -> None:
    """What is held decides until it is stale; then there is no decision, and the fail mode says what is to be done."""
    with serving(tmp_path / "plane.db", a_ban("drop")) as served:
        clients = [
            served.client("local", decision_timeout=5.0, sinks=[]),
            served.client("auto", decision_timeout=5.0, sinks=[]),
        ]
        for client in clients:
            assert client.ready_sync()
    for client in clients:
        with client.run() as run:
            assert [False, True] == [run.before_tool_sync(tool, {}).allowed for tool in ("drop", "look")]
            clock.now += STALE_SECONDS
            assert FAILCLOSED_DECISION == run.before_tool_sync("look", {})
        clock.now -= STALE_SECONDS


def test_nobody_looks_for_changes_that_nobody_needs(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """While no call is decided no request is made, and after a shutdown neither."""
    monkeypatch.setattr(snapshots, "REFRESH_SECONDS", 0.02)
    client = served.client()
    decided(client, "look")
    settled: list[int] = []

    def is_settled() -> bool:
        threading.Event().wait(0.2)
        settled.append(served.asked("/policies"))
        return settled[-2:-1] == settled[-1:]

    assert eventually(is_settled)
    client.shutdown_sync()
    assert settled[-1] == served.asked("/policies")


def test_a_child_of_a_fork_takes_a_snapshot_of_its_own(served: Served) -> None:
    """The child decides by itself, by policies that it has fetched."""
    client = served.client()
    assert not decided(client, "drop").allowed
    before = served.asked("/policies")
    assert "local BLOCK" == in_child(lambda: f"{(made := decided(client, 'drop')).decided_by} {made.verdict}")
    assert before < served.asked("/policies")


def test_nothing_is_fetched_or_started_at_first(served: Served) -> None:
    """A client that has been made has asked nothing, and has no thread."""
    before = len(threads_named("handlebar-"))
    served.client()
    assert [] == served.requests
    assert before == len(threads_named("handlebar-"))


def test_the_host_knows_its_signals(tmp_path: Path) -> None:
    """A rule on a signal, which a server could not ask for, is decided here by the client's own function."""
    rule = a_rule({"kind": "signal", "key": "risk", "op": "gt", "value": 5})
    with serving(tmp_path / "plane.db", a_policy(rule)) as served:
        low, high = (served.client(signals={"risk": lambda args, risk=risk: risk}) for risk in (1, 9))
        assert [True, False] == [decided(client, "pay").allowed for client in (low, high)]
        assert not decided(served.client("remote"), "pay").allowed


def test_the_door_is_light_and_the_error_clear() -> None:
    """Without the extra the client is refused, with what to install; `remote` needs nothing of it."""
    script = """
import sys
sys.modules["sqlalchemy"] = None
import handlebar
make = lambda how: handlebar.init("desk", api_key="k", api_endpoint="http://127.0.0.1:9", evaluate=how)
make("remote").shutdown_sync()
assert "handlebar.control" not in sys.modules
try:
    make("local")
except handlebar.ConfigError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("evaluate: 'local' is not allowed")
    assert "handlebar[embedded]" in done.stdout


def test_the_limits_are_what_is_promised() -> None:
    """A look every few seconds, and a limit that outlasts a lost one."""
    assert 2 * 1.2 * REFRESH_SECONDS < STALE_SECONDS
