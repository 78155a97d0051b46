"""Looking how the agent stands: what is seen stops runs in progress, and nothing that is answered stops the looking."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from handlebar.core.client import HandlebarClient
from handlebar.core.config import HandlebarClientConfig, RunConfig
from handlebar.core.schema.governance import LockdownCause
from tests.support.forks import in_child
from tests.support.http_server import Answer, Behaviour, Connection, EmptyAnswer, Hang, Html, HttpServer
from tests.support.waiting import eventually, threads_named

SOON = 0.05
LOCKED = {"id": "l-1", "agentId": "agent-1", "reason": "stop", "since": "2026-07-01T12:00:00Z"}
DOWN = Answer(503)


@pytest.fixture(name="server")
def _server() -> Iterator[HttpServer]:
    with HttpServer() as server:
        yield server


@contextmanager
def client_of(server: HttpServer, **config: Any) -> Iterator[HandlebarClient]:
    """Open a client that looks often."""
    settings = {"agent": "desk", "api_key": "key", "api_endpoint": server.url, "poll_seconds": SOON, **config}
    client = HandlebarClient.init_sync(HandlebarClientConfig(**settings))
    try:
        yield client
    finally:
        client.shutdown_sync()


def locks(server: HttpServer, *lockdowns: dict[str, Any]) -> None:
    """Let these be the lockdowns in force."""
    server.status = {"lockdown": {"active": False}, "lockdowns": list(lockdowns)}


def looks(server: HttpServer, at: str = "/status") -> int:
    """Return how often somebody has looked."""
    return sum(at in each.path for each in server.requests)


class TestRunsInProgress:
    """A lockdown that is seen stops a run, whether or not its decisions can be had."""

    def test_the_next_hook_stops_the_run(self, server: HttpServer) -> None:
        """The block names the lockdown, ends the run, and is given although no decision could be asked for."""
        with client_of(server) as client:
            run = client.start_run_sync(RunConfig("run"))
            assert run.before_tool_sync("refund", {}).allowed
            server.behave(DOWN, path="/evaluate")
            locks(server, LOCKED)
            assert eventually(lambda: ["l-1"] == [each.id for each in client.lockdowns])
            decision = run.before_tool_sync("refund", {})
            assert (False, True, LockdownCause("l-1")) == (decision.allowed, decision.terminates, decision.cause)
            assert "Agent is locked down: stop" == decision.message
            assert run.should_terminate

    def test_one_that_is_lifted_before_any_hook_stops_nothing(self, server: HttpServer) -> None:
        """The run that never met it goes on; one that has met it stays stopped."""
        with client_of(server) as client:
            met, unmet = client.start_run_sync(RunConfig("met")), client.start_run_sync(RunConfig("unmet"))
            locks(server, LOCKED)
            assert eventually(lambda: bool(client.lockdowns))
            assert not met.before_tool_sync("refund", {}).allowed
            locks(server)
            assert eventually(lambda: not client.lockdowns)
            assert unmet.before_tool_sync("refund", {}).allowed
            assert not met.before_tool_sync("refund", {}).allowed

    def test_one_tool_and_one_actor(self, server: HttpServer) -> None:
        """Only the calls that it is about are stopped, whatever the letters' case."""
        with client_of(server) as client:
            ann = client.start_run_sync(RunConfig("ann", actor="ann"))
            ben = client.start_run_sync(RunConfig("ben", actor="ben"))
            locks(server, {**LOCKED, "tool": "Refund", "actor": "ann"})
            assert eventually(lambda: bool(client.lockdowns))
            assert ben.before_tool_sync("refund", {}).allowed
            assert ann.before_tool_sync("search", {}).allowed
            assert LockdownCause("l-1") == ann.before_tool_sync("refund", {}).cause

    def test_it_ends_by_itself(self, server: HttpServer) -> None:
        """One whose time is over stops nothing, although nobody has taken it back."""
        with client_of(server) as client:
            run = client.start_run_sync(RunConfig("run"))
            locks(server, {**LOCKED, "until": "2026-07-01T12:30:00Z"})
            assert eventually(lambda: bool(client.lockdowns))
            assert run.before_tool_sync("refund", {}).allowed

    def test_the_word_on_the_whole_agent_is_enough(self, server: HttpServer) -> None:
        """A control plane that lists no lockdowns is understood; the cause then names none."""
        with client_of(server) as client:
            run = client.start_run_sync(RunConfig("run"))
            server.status = {"lockdown": {"active": True, "reason": "audit", "until_ts": None}}
            assert eventually(lambda: bool(client.lockdowns))
            decision = run.before_tool_sync("refund", {})
            assert (LockdownCause(None), "Agent is locked down: audit") == (decision.cause, decision.message)

    def test_it_stays_in_force_while_nobody_can_look(self, server: HttpServer) -> None:
        """A control plane that has gone lifts nothing."""
        with client_of(server) as client:
            run = client.start_run_sync(RunConfig("run"))
            locks(server, LOCKED)
            assert eventually(lambda: bool(client.lockdowns))
            server.behave(DOWN)
            before = looks(server)
            assert eventually(lambda: looks(server) > before + 1)
            assert LockdownCause("l-1") == run.before_tool_sync("refund", {}).cause

    def test_shadow_mode_lets_the_caller_go_on(self, server: HttpServer) -> None:
        """The lockdown is in the run's log, and the caller gets an ALLOW."""
        with client_of(server, enforce_mode="shadow") as client:
            run = client.start_run_sync(RunConfig("run"))
            locks(server, LOCKED)
            assert eventually(lambda: bool(client.lockdowns))
            assert run.before_tool_sync("refund", {}).allowed
            assert LockdownCause("l-1") == run.decisions[-1].cause


class TestMisbehaviour:
    """What is answered to a look neither ends the looking nor reaches the agent."""

    @pytest.mark.parametrize(
        "behaviour",
        [
            DOWN,
            Html(),
            EmptyAnswer(),
            Answer(200, b"[]"),
            Answer(200, b'{"lockdowns": 7}'),
            Answer(200, b'{"lockdowns": [{"id": 7}]}'),
            Answer(200, b'{"lockdown": {"active": true, "reason": {}}}'),
            Answer(200, b"[" * 100_000),
        ],
    )
    def test_garbage_changes_nothing(self, server: HttpServer, behaviour: Behaviour) -> None:
        """What cannot be understood locks nothing down, and the next good answer is heard."""
        with client_of(server) as client:
            server.behave(behaviour, path="/status", times=2)
            run = client.start_run_sync(RunConfig("run"))
            assert eventually(lambda: looks(server) >= 2)
            assert [] == client.lockdowns
            assert run.before_tool_sync("refund", {}).allowed
            locks(server, LOCKED)
            assert eventually(lambda: bool(client.lockdowns))

    def test_failures_make_it_look_less_often(self, server: HttpServer) -> None:
        """The pauses between looks double while a control plane fails."""
        server.behave(DOWN, path="/status")
        with client_of(server) as client:
            client.start_run_sync(RunConfig("run"))
            assert eventually(lambda: looks(server) >= 2)
            time.sleep(1.5)
            # Without backing off there would be some thirty of them by now.
            assert 8 >= looks(server)

    def test_a_control_plane_that_knows_no_polls_is_left_alone(
        self, server: HttpServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        """One look at each, no line in the log."""
        server.behave(Answer(404), path="/v1/agents/agent-1/")
        with client_of(server) as client:
            run = client.start_run_sync(RunConfig("run"))
            assert eventually(lambda: looks(server) == looks(server, "/budget") == 1)
            time.sleep(6 * SOON)
            assert 1 == looks(server) == looks(server, "/budget")
            assert run.before_tool_sync("refund", {}).allowed
            run.end_sync()
        assert [] == caplog.messages

    def test_a_look_that_hangs_delays_no_decision(self, server: HttpServer) -> None:
        """Decisions are made while a look waits, and failing looks do not open the circuit."""
        server.behave(Hang(), path="/status")
        with client_of(server) as client:
            run = client.start_run_sync(RunConfig("run"))
            assert eventually(lambda: looks(server) == 1)
            assert all(run.before_tool_sync("refund", {}).allowed for _ in range(20))

    def test_a_list_that_is_never_the_same_twice(self, server: HttpServer) -> None:
        """News is confirmed at once, but news in the answer to that waits for the next look."""
        numbers = iter(range(10_000))

        def news(connection: Connection) -> None:
            Answer(200, {"lockdowns": [{**LOCKED, "id": str(next(numbers))}]})(connection)

        server.behave(news, path="/status")
        with client_of(server, poll_seconds=0.5) as client:
            client.start_run_sync(RunConfig("run"))
            assert eventually(lambda: looks(server) >= 2)
            time.sleep(0.2)
            assert 2 == looks(server)


class TestThreads:
    """One thread for each client and process that has started a run, and none after the shutdown."""

    def test_one_for_each_client(self, server: HttpServer) -> None:
        """It is started by the first run, not by the client, nor by the runs that follow."""
        with client_of(server) as one, client_of(server) as two:
            assert [] == threads_named("handlebar-polling")
            for number in range(3):
                one.start_run_sync(RunConfig(f"run-{number}"))
            assert 1 == len(threads_named("handlebar-polling"))
            two.start_run_sync(RunConfig("run"))
            assert [True, True] == [each.daemon for each in threads_named("handlebar-polling")]
        assert eventually(lambda: not threads_named("handlebar-polling"))

    @pytest.mark.parametrize("config", [{"enforce_mode": "off"}, {"poll_seconds": 0}, {"api_endpoint": "sqlite://"}])
    def test_none_where_nobody_has_to_look(self, server: HttpServer, config: dict[str, Any]) -> None:
        """Mode off, no polls wanted, an embedded control plane."""
        with client_of(server, **{"poll_seconds": None, **config}) as client:
            client.start_run_sync(RunConfig("run")).before_tool_sync("refund", {})
            assert [] == threads_named("handlebar-polling")
            assert ([], []) == (client.lockdowns, client.budgets)

    def test_a_shutdown_in_mid_look_waits_for_nothing(self, server: HttpServer) -> None:
        """It returns at once, though the control plane says nothing."""
        server.behave(Hang(), path="/status")
        with client_of(server) as client:
            client.start_run_sync(RunConfig("run")).end_sync()
            assert eventually(lambda: looks(server) == 1)
            begun = time.monotonic()
            client.shutdown_sync()
            assert 2.0 > time.monotonic() - begun
        server.stop()
        assert eventually(lambda: not threads_named("handlebar-polling"))

    def test_no_thread_comes_back_after_the_shutdown(self, server: HttpServer) -> None:
        """A run that goes on afterwards starts no looking."""
        with client_of(server) as client:
            run = client.start_run_sync(RunConfig("run"))
            client.shutdown_sync()
            assert eventually(lambda: not threads_named("handlebar-polling"))
            run.before_tool_sync("refund", {})
            assert [] == threads_named("handlebar-polling")

    def test_a_client_that_nobody_shut_down_is_not_looked_for(self, server: HttpServer) -> None:
        """The thread ends when the client is collected."""
        config = HandlebarClientConfig(
            agent="desk", api_key="key", api_endpoint=server.url, poll_seconds=SOON, sinks=[]
        )
        client = HandlebarClient.init_sync(config)
        client.start_run_sync(RunConfig("run")).end_sync()
        assert 1 == len(threads_named("handlebar-polling"))
        del client
        assert eventually(_collected_polling)

    def test_threads_that_race_start_one(self, server: HttpServer) -> None:
        """Sixteen first runs at the same moment."""
        with client_of(server) as client:
            at_once = [threading.Thread(target=client.start_run_sync, args=(RunConfig(f"r{n}"),)) for n in range(16)]
            for each in at_once:
                each.start()
            for each in at_once:
                each.join()
            assert 1 == len(threads_named("handlebar-polling"))


class TestForks:
    """Each process looks for itself."""

    def test_a_child_goes_on_with_a_run(self, server: HttpServer) -> None:
        """It starts a thread of its own, is another process to the control plane, and sees the lockdown."""
        with client_of(server) as client:
            run = client.start_run_sync(RunConfig("run"))
            assert eventually(lambda: looks(server) >= 1)

            def work() -> str:
                assert run.before_tool_sync("refund", {}).allowed
                assert eventually(lambda: bool(client.lockdowns))
                assert 1 == len(threads_named("handlebar-polling"))
                return str(run.before_tool_sync("refund", {}).cause)

            before = processes(server)
            threading.Timer(0.3, lambda: locks(server, LOCKED)).start()
            assert "LockdownCause(lockdown_id='l-1')" == in_child(work)
            assert 1 == len(before)
            assert 2 == len(processes(server))
            assert eventually(lambda: bool(client.lockdowns))

    def test_a_child_that_does_nothing_starts_nothing(self, server: HttpServer) -> None:
        """A fork alone is no use."""
        with client_of(server) as client:
            client.start_run_sync(RunConfig("run"))
            assert "0" == in_child(lambda: str(len(threads_named("handlebar-polling"))))


class TestBudgets:
    """What is granted is kept, used up by calls, and asked for again in time."""

    GRANT = {
        "id": "r-1",
        "decision": "allow",
        "grant": 5000.0,
        "computed": {"metric": "bytes_in", "aggregate": "sum"},
        "expires_seconds": 30,
    }

    def test_calls_use_them_up(self, server: HttpServer) -> None:
        """What a call has used is taken off until the control plane is asked again."""
        server.budgets = {"expires_seconds": 60, "responses": [self.GRANT, {**self.GRANT, "id": "all", "grant": None}]}
        with client_of(server) as client:
            run = client.start_run_sync(RunConfig("run", actor="ann"))
            assert eventually(lambda: bool(client.budgets))
            run.before_tool_sync("refund", "x" * 998)
            run.after_tool_sync("refund", "x" * 998, "done")
            assert [4000.0, None] == [each.grant for each in client.budgets]
        asked = [each.path for each in server.requests if "/budget" in each.path]
        assert ["/v1/agents/agent-1/metrics/budget?actor=ann"] == asked

    def test_one_that_is_used_up_is_asked_for_again(self, server: HttpServer) -> None:
        """Before its time is over."""
        server.budgets = {"expires_seconds": 60, "responses": [{**self.GRANT, "grant": 10.0}]}
        with client_of(server) as client:
            run = client.start_run_sync(RunConfig("run"))
            assert eventually(lambda: bool(client.budgets))
            server.budgets = {"expires_seconds": 60, "responses": [self.GRANT]}
            run.before_tool_sync("refund", "x" * 100)
            assert eventually(lambda: [5000.0] == [each.grant for each in client.budgets])

    def test_garbage_leaves_them_as_they_are(self, server: HttpServer) -> None:
        """A grant that is none, or no list at all, is no answer."""
        server.budgets = {"expires_seconds": 60, "responses": [{**self.GRANT, "grant": 0.0}]}
        with client_of(server) as client:
            client.start_run_sync(RunConfig("run"))
            assert eventually(lambda: bool(client.budgets))
            server.budgets = {"expires_seconds": "NaN", "responses": [{"id": None}]}
            before = looks(server, "/budget")
            assert eventually(lambda: looks(server, "/budget") > before + 1)
            assert ["r-1"] == [each.id for each in client.budgets]


def processes(server: HttpServer) -> set[str]:
    """Return the processes that have looked, by what they call themselves."""
    return {each.path.partition("process=")[2].partition("&")[0] for each in server.requests if "process=" in each.path}


def _collected_polling() -> bool:
    gc.collect()
    return not threads_named("handlebar-polling")
