"""The scope of a request: what runs take over from it, and when they end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from uuid import UUID

import pytest

import handlebar
from handlebar.core import current
from handlebar.core.client import HandlebarClient
from handlebar.core.config import RunConfig
from handlebar.core.current import Place, get_current_run, get_current_scope
from handlebar.core.request_scope import OUTSIDE, Loader, RequestScope, Sources
from handlebar.core.schema.agents import Actor
from handlebar.core.schema.events import RequestIdentity, RunStartedEvent
from tests.support.clients import client_on
from tests.support.planes import ScriptedPlane

ID = UUID("0190a3c4-0000-7000-8000-000000000000")


@pytest.fixture(name="plane")
def _plane() -> ScriptedPlane:
    return ScriptedPlane()


@pytest.fixture(name="client")
def _client(plane: ScriptedPlane, monkeypatch: pytest.MonkeyPatch) -> HandlebarClient:
    return client_on(plane, monkeypatch, actor="the-client's")


@pytest.fixture(autouse=True)
def _nothing_stays_bound() -> Iterator[None]:
    yield
    assert OUTSIDE is get_current_scope()
    assert get_current_run() is None


def a_scope(actor: object = None, session: object = None, **more: object) -> RequestScope:
    """Return a scope whose loaders tell these."""
    return RequestScope(Sources(actor=Loader(lambda: actor), session=Loader(lambda: session), **more))  # type: ignore[arg-type]  # loaders may tell anything


@pytest.mark.parametrize(
    ("said", "expected"),
    [("u-1", Actor("u-1")), (7, Actor("7")), (ID, Actor(str(ID))), (Actor("u", name="Ann"), Actor("u", name="Ann"))],
)
def test_ids_as_databases_have_them(client: HandlebarClient, said: object, expected: Actor) -> None:
    """A loader may return an id of any usual kind, or an actor."""
    with Place(a_scope(said)), client.run() as run:
        assert expected == run.actor


@pytest.mark.parametrize("said", [None, "", object(), 1.5, b"u"])
def test_what_is_no_id_is_nobody(client: HandlebarClient, said: object) -> None:
    """Nothing is made up: the client's own default stays."""
    with Place(a_scope(said)), client.run() as run:
        assert Actor("the-client's") == run.actor


def test_the_run_beats_the_request_beats_the_client(client: HandlebarClient) -> None:
    """What the run says itself stays; tags are joined."""
    scope = a_scope("u-1", "s-1", tags=lambda: {"a": "request", "b": "request"})
    with Place(scope), client.run(session_id="own", tags={"b": "run"}) as run:
        assert ("u-1", "own") == (run.actor and run.actor.external_id, run.session_id)
        assert {"a": "request", "b": "run"} == run.tags
    with Place(scope), client.run(actor="me") as run:
        assert ("me", "s-1") == (run.actor and run.actor.external_id, run.session_id)


def test_a_loader_is_asked_for_the_first_run_only(client: HandlebarClient) -> None:
    """Nobody is asked before, and nobody twice."""
    asked: list[int] = []
    scope = RequestScope(Sources(actor=Loader(lambda: asked.append(1))))
    with Place(scope):
        assert [] == asked
        for _ in range(3):
            client.start_run_sync(RunConfig(str(len(asked)) + "x"))
    scope.close("success")
    assert [1] == asked


def test_coroutines_await_their_loader(client: HandlebarClient) -> None:
    """`start_run` and `async with` await the loader in the caller's own task; the blocking one is never asked."""

    async def find() -> str:
        return str(threading.current_thread() is threading.main_thread())

    scope = RequestScope(Sources(actor=Loader(lambda: 1 / 0, find)))

    async def main() -> list[Actor | None]:
        with Place(scope):
            first = await client.start_run(RunConfig("1"))
            async with client.run("2") as second:
                return [first.actor, second.actor]

    assert [Actor("True")] * 2 == asyncio.run(main())
    scope.close("success")


@pytest.mark.parametrize("is_async", [False, True])
def test_a_loader_that_fails(plane: ScriptedPlane, monkeypatch: pytest.MonkeyPatch, is_async: bool) -> None:
    """Failing open the run goes on without an actor; failing closed its calls are refused, but not those of a run
    that says itself whom it acts for.
    """

    async def find() -> str:
        raise ValueError("secret")

    verdicts = []
    for fail_closed in (False, True):
        client = client_on(plane, monkeypatch, fail_closed=fail_closed)
        scope = RequestScope(Sources(actor=Loader(lambda: 1 / 0, find)))
        with Place(scope):
            if is_async:
                asyncio.run(current.prepare())
            for config in (RunConfig("nobody"), RunConfig("somebody", actor="u")):
                verdicts.append(client.start_run_sync(config).before_tool_sync("refund", {}).verdict)
        scope.close("success")
    assert ["ALLOW", "ALLOW", "BLOCK", "ALLOW"] == verdicts


def test_runs_end_with_the_request_the_youngest_first(client: HandlebarClient, plane: ScriptedPlane) -> None:
    """What was left open ends once; what has ended, or was parked, is left alone."""
    scope = a_scope()
    with Place(scope):
        runs = [client.start_run_sync(RunConfig(str(number))) for number in range(4)]
    runs[1].end_sync("timeout")
    runs[2].park_sync()
    scope.close("interrupted")
    scope.close("success")
    assert [("1", "timeout"), ("3", "interrupted"), ("0", "interrupted")] == plane.named("end")
    assert not scope.has_open_runs


def test_a_run_that_comes_too_late(client: HandlebarClient, plane: ScriptedPlane) -> None:
    """A thread that goes on after its request opens no run that would last."""
    scope = a_scope()
    scope.close("interrupted")
    with Place(scope):
        assert "interrupted" == client.start_run_sync(RunConfig("late")).status


def test_a_run_of_outside_is_not_the_requests(client: HandlebarClient) -> None:
    """A run that was active before the request is found in it, and outlives it."""
    before = client.start_run_sync(RunConfig("r"))
    scope = a_scope()
    with Place(scope):
        assert before is client.start_run_sync(RunConfig("r"))
    scope.close("success")
    assert not before.is_ended
    before.end_sync()


def test_the_request_is_named_when_a_run_starts(client: HandlebarClient, plane: ScriptedPlane) -> None:
    """`run.started` tells the request's id and its `traceparent`."""
    identity = RequestIdentity("req-1", "00-" + "a" * 32 + "-" + "b" * 16 + "-01")
    with Place(a_scope(identity=lambda: identity)), client.run():
        pass
    client.drain_sync()
    started = [event for event in plane.events if isinstance(event, RunStartedEvent)]
    assert [identity] == [event.data.request for event in started]


def test_the_requests_client_is_the_one_to_get(client: HandlebarClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """`handlebar.get_client()` finds the client of the application that serves the request."""
    with Place(RequestScope(Sources(), client=client)):
        assert client is handlebar.get_client()


class TestPlaces:
    """What is bound at a place, at another time or in another thread."""

    def test_what_is_bound_inside_is_there_again(self, client: HandlebarClient) -> None:
        """A run that was pushed inside is current again inside, and not between."""
        place = Place(a_scope())
        with client.run("outside") as outside:
            with place:
                assert get_current_run() is None
                inside = client.start_run_sync(RunConfig("inside"))
                current.push(inside)
            assert outside is get_current_run()
            seen: list[object] = []

            def look() -> None:
                with place:
                    seen.append(get_current_run())
                seen.append(get_current_run())

            thread = threading.Thread(target=look)
            thread.start()
            thread.join()
            assert [inside, None] == seen
        inside.end_sync()

    def test_bind_carries_the_request(self, client: HandlebarClient) -> None:
        """A function that was bound in a request finds it in another thread."""
        scope = a_scope()
        with Place(scope):
            look = handlebar.bind(get_current_scope)
        assert scope is look()
