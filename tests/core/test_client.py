"""The client: registration, runs by id, stats, shutdown."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import handlebar
from handlebar.core import Actor, Handlebar, HandlebarClientConfig, Run, RunConfig, Tool
from handlebar.core.client import HandlebarClient
from handlebar.core.registration import Registration
from handlebar.errors import ConfigError, NotInitialisedError, UnreachableError
from tests.support.clients import client_on
from tests.support.forks import in_child
from tests.support.planes import BLOCK, ScriptedPlane


@pytest.fixture(name="plane")
def _plane() -> ScriptedPlane:
    return ScriptedPlane()


@pytest.fixture(name="client")
def _client(plane: ScriptedPlane, monkeypatch: pytest.MonkeyPatch) -> Iterator[HandlebarClient]:
    client = client_on(plane, monkeypatch)
    yield client
    client.shutdown_sync()


class TestRegistration:
    """Making the agent known."""

    def test_making_a_client_asks_nobody_and_starts_no_thread(
        self, plane: ScriptedPlane, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A server may fork after init."""
        before = threading.active_count()
        client_on(plane, monkeypatch)
        assert [] == plane.calls
        assert before == threading.active_count()

    def test_the_first_run_registers_the_agent_once(self, client: HandlebarClient, plane: ScriptedPlane) -> None:
        """Later runs find it registered."""
        client.start_run_sync(RunConfig("1"))
        client.start_run_sync(RunConfig("2"))
        assert ["register", "start", "start"] == [name for name, _ in plane.calls]

    def test_many_threads_register_once(self, client: HandlebarClient, plane: ScriptedPlane) -> None:
        """Threads that come while the first attempt is under way wait for it."""
        barrier = threading.Barrier(16)

        def work(number: int) -> None:
            barrier.wait()
            assert client.start_run_sync(RunConfig(str(number))).before_tool_sync("a", {}).message

        threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 1 == len(plane.named("register"))
        assert 16 == len(plane.named("evaluate"))

    def test_ready_tells_whether_the_agent_is_registered(
        self, plane: ScriptedPlane, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It does not raise when the control plane is away."""
        plane.registering = UnreachableError("gone", reason="network")
        client = client_on(plane, monkeypatch)
        assert not client.ready_sync()
        client.shutdown_sync()
        assert client_on(ScriptedPlane(), monkeypatch).ready_sync()

    def test_each_process_registers_for_itself(self, client: HandlebarClient, plane: ScriptedPlane) -> None:
        """A child of a fork does not take its parent's word for it."""
        assert client.ready_sync()

        def child() -> str:
            plane.calls.clear()
            client.start_run_sync(RunConfig("c"))
            return " ".join(name for name, _ in plane.calls)

        assert "register start" == in_child(child)

    def test_tools_registered_later_reach_the_control_plane(
        self, client: HandlebarClient, plane: ScriptedPlane
    ) -> None:
        """They are told at once, and their tags count from then on."""
        client.ready_sync()
        run = client.start_run_sync(RunConfig("1"))
        client.register_tools_sync([Tool("search", tags=["read"])])
        run.before_tool_sync("search", {})
        assert [(Tool("search", tags=["read"]),)] == plane.named("tools")
        assert ("read",) == plane.named("evaluate")[0].tool_tags

    def test_tools_registered_before_the_agent_go_along_with_it(
        self, client: HandlebarClient, plane: ScriptedPlane
    ) -> None:
        """One call is enough."""
        client.register_tools_sync([Tool("search")])
        ((_, tools),) = plane.named("register")
        assert (Tool("search"),) == tools
        assert [] == plane.named("tools")


class TestRuns:
    """Starting runs."""

    def test_the_same_id_is_the_same_run_while_it_is_active(
        self, client: HandlebarClient, plane: ScriptedPlane
    ) -> None:
        """After its end the id starts a new one."""
        run = client.start_run_sync(RunConfig("1"))
        assert run is client.start_run_sync(RunConfig("1"))
        run.end_sync()
        assert run is not client.start_run_sync(RunConfig("1"))
        assert 2 == len(plane.named("start"))

    def test_a_run_takes_the_clients_actor_unless_it_has_its_own(
        self, plane: ScriptedPlane, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The run's actor replaces the client's whole."""
        client = client_on(plane, monkeypatch, actor=Actor("default"))
        assert Actor("default") == client.start_run_sync(RunConfig("1")).actor
        assert Actor("own") == client.start_run_sync(RunConfig("2", actor="own")).actor
        client.shutdown_sync()

    def test_run_makes_an_id_and_takes_short_forms(self, client: HandlebarClient) -> None:
        """Ids are UUIDs of version 7; context stays at hand."""
        with client.run(actor="u", model="m", session_id="s", tags={"a": "b"}, context={"x": 1}) as run:
            assert "7" == run.run_id[14]
            assert ("u", "m", "s") == (run.actor.external_id, run.model.name, run.session_id)  # type: ignore[union-attr]  # both were given
            assert ({"a": "b"}, {"x": 1}) == (run.tags, run.context)

    def test_ended_runs_are_forgotten(self, client: HandlebarClient) -> None:
        """A thousand runs leave nothing behind."""
        for _ in range(1000):
            with client.run():
                pass
        assert 0 == len(client._active.get())

    def test_runs_that_never_end_are_bounded(self, client: HandlebarClient, monkeypatch: pytest.MonkeyPatch) -> None:
        """Beyond the bound the oldest are forgotten, and go on working for who holds them."""
        monkeypatch.setattr("handlebar.core.active_runs.MAX_ACTIVE", 10)
        first = client.start_run_sync(RunConfig("0"))
        for number in range(1, 30):
            client.start_run_sync(RunConfig(str(number)))
        assert 10 == len(client._active.get())
        assert first is not client.start_run_sync(RunConfig("0"))
        assert first.before_tool_sync("a", {}).allowed


class TestInactive:
    """A client that was told of no control plane."""

    @pytest.mark.parametrize(("fail_closed", "verdict"), [(False, "ALLOW"), (True, "BLOCK")])
    def test_decisions_follow_the_fail_mode_and_one_warning_says_what_to_do(
        self, fail_closed: bool, verdict: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Three ways out are named; lost events are counted."""
        with caplog.at_level(logging.WARNING, "handlebar"):
            client = HandlebarClient.init_sync(HandlebarClientConfig("desk", fail_closed=fail_closed))
        (line,) = [record.getMessage() for record in caplog.records]
        for way in ("policies=", "HANDLEBAR_API_KEY", "HANDLEBAR_API_ENDPOINT"):
            assert way in line
        with client.run() as run:
            assert verdict == run.before_tool_sync("a", {}).verdict.value
        assert {"inactive": 3} == client.stats().events_dropped
        assert not client.ready_sync()

    def test_an_endpoint_over_http_without_a_key_is_inactive_too(self) -> None:
        """Nothing is sent without a key."""
        client = HandlebarClient.init_sync(HandlebarClientConfig("desk", api_endpoint="https://localhost:1"))
        with client.run() as run:
            assert run.before_tool_sync("a", {}).allowed

    def test_an_endpoint_that_nobody_speaks_is_refused(self) -> None:
        """The message lists what is allowed."""
        with pytest.raises(ConfigError, match=r"sqlite:///file\.db"):
            HandlebarClient.init_sync(HandlebarClientConfig("desk", api_endpoint="ftp://x"))

    def test_policies_for_a_control_plane_over_http_are_refused(self) -> None:
        """They would silently not be in force."""
        config = HandlebarClientConfig("desk", api_endpoint="https://localhost", api_key="k", policies="p.yaml")
        with pytest.raises(ConfigError, match="policies"):
            HandlebarClient.init_sync(config)


class TestStatsAndShutdown:
    """Numbers and the end."""

    def test_stats_count_decisions_and_events(self, plane: ScriptedPlane, monkeypatch: pytest.MonkeyPatch) -> None:
        """By verdict, and by fate."""
        client = client_on(plane, monkeypatch)
        with client.run() as run:
            run.before_tool_sync("a", {})
            plane.answer = BLOCK
            run.before_tool_sync("a", {})
        stats = client.stats()
        assert {"ALLOW": 1, "BLOCK": 1} == stats.decisions
        assert (
            stats.events_sent,
            stats.events_queued,
            stats.events_dropped,
            stats.events_failed,
            stats.last_error,
        ) == (4, 0, {}, 0, None)
        client.shutdown_sync()

    def test_shutdown_twice_is_shutdown_once(self, plane: ScriptedPlane, monkeypatch: pytest.MonkeyPatch) -> None:
        """No error, and everything that was queued is delivered."""
        client = client_on(plane, monkeypatch)
        client.start_run_sync(RunConfig("1"))
        client.shutdown_sync()
        client.shutdown_sync()
        assert ["run.started"] == plane.kinds()

    def test_events_of_an_agent_that_was_never_registered_are_counted(
        self, plane: ScriptedPlane, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """They wait while there is hope, and are counted as dropped at the end."""
        plane.registering = UnreachableError("gone", reason="network")
        client = client_on(plane, monkeypatch)
        client.start_run_sync(RunConfig("1"))
        assert 1 == client.stats().events_queued
        client.shutdown_sync()
        assert {"unregistered": 1} == client.stats().events_dropped


class TestTwins:
    """Every awaitable name is its blocking method, in another thread."""

    @pytest.mark.parametrize("owner", [Run, HandlebarClient])
    def test_signatures_and_docstrings_agree(self, owner: type) -> None:
        """No twin is missing, and none differs."""
        blocking = [name for name in vars(owner) if name.endswith("_sync")]
        assert blocking
        for name in blocking:
            twin, method = getattr(owner, name.removesuffix("_sync")), getattr(owner, name)
            assert inspect.iscoroutinefunction(twin)
            assert inspect.signature(method).parameters.keys() == inspect.signature(twin).parameters.keys()
            if name != "init_sync":
                assert inspect.getdoc(method) == inspect.getdoc(twin)

    def test_the_awaitable_api_does_what_the_blocking_one_does(
        self, plane: ScriptedPlane, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Init, ready, run, hooks, end, shutdown, all awaited."""
        monkeypatch.setattr("handlebar.core.connection.open_plane", lambda config, endpoint: plane)
        config = HandlebarClientConfig("desk", api_endpoint="https://localhost", api_key="k")

        async def main() -> None:
            client = await Handlebar.init(config)
            assert await client.ready()
            run = await client.start_run(RunConfig("1"))
            assert (await run.before_tool("a", {})).allowed
            assert (await run.after_tool("a", {}, 1)).allowed
            await run.before_llm([])
            await run.end()
            await client.shutdown()

        asyncio.run(main())
        assert ["register", "start", "evaluate", "evaluate", "end"] == [name for name, _ in plane.calls]


class TestFront:
    """The process's default client."""

    @pytest.fixture(autouse=True)
    def _forget_default(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("handlebar.core.front._default", [])

    def test_there_is_none_before_init(self) -> None:
        """The error says what to call."""
        with pytest.raises(NotInitialisedError, match=r"handlebar\.init"):
            handlebar.get_client()

    def test_init_makes_the_default_client(self) -> None:
        """A slug and config fields are enough."""
        client = handlebar.init("desk", enforce_mode="off")
        assert client is handlebar.get_client()
        assert "desk" == client.config.agent.slug

    def test_a_second_init_replaces_and_shuts_down_the_first(
        self, plane: ScriptedPlane, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The first client's events are delivered before it goes."""
        monkeypatch.setattr("handlebar.core.connection.open_plane", lambda config, endpoint: plane)
        first = handlebar.init("one", api_endpoint="https://localhost", api_key="k")
        second = handlebar.init("two", enforce_mode="off")
        assert second is handlebar.get_client()
        assert first is not second
        assert 1 == plane.closed

    def test_a_misspelled_field_is_named_with_its_likely_meaning(self) -> None:
        """Nothing is made of a config that was not understood."""
        with pytest.raises(ConfigError, match="did you mean 'enforce_mode'"):
            handlebar.init("desk", enforced_mode="off")
        with pytest.raises(NotInitialisedError):
            handlebar.get_client()


def test_a_closed_registration_tries_no_more(plane: ScriptedPlane) -> None:
    """After shutdown no background attempt is left over."""
    plane.registering = UnreachableError("gone", reason="network")
    seen: list[Any] = []
    registration = Registration(plane, HandlebarClientConfig("d").agent, (), budget=1, on_registered=seen.append)
    registration.close()
    assert registration.ensure() is None
    plane.registering = None
    registration._again(registration._attempts.get(), number=1)
    assert 1 == len(plane.named("register"))
    assert [] == seen


def test_what_has_become_of_a_question(client: HandlebarClient, plane: ScriptedPlane) -> None:
    """Whoever has parked a run can ask whether to resume it yet."""
    plane.approval = "approved"
    assert "approved" == client.approval_status_sync("a-1")
    assert ["a-1"] == plane.named("approval")
