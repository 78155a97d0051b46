"""The Django integration under real servers, with a control plane over HTTP."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("django", reason="Django is not installed: pip install handlebar[django]")
pytest.importorskip("gunicorn", reason="gunicorn is not installed")
pytest.importorskip("uvicorn", reason="uvicorn is not installed")
pytest.importorskip("daphne", reason="daphne is not installed")

from tests.support.http_server import HttpServer, Slow
from tests.support.web_servers import Kind, daphne, gunicorn, uvicorn

pytestmark = pytest.mark.slow

PROJECT = "tests.integrations.django.project.servers"
GTHREAD = gunicorn("gthread", "-w", "2", "--threads", "4")
UVICORN = uvicorn()
DAPHNE = daphne()

Serve = Callable[..., Any]


@pytest.fixture(name="serve")
def _serve(server: HttpServer, tmp_path: Path) -> Serve:
    def serve(kind: Kind, application: str) -> Any:
        settings = {"PROJECT_CONTROL_PLANE": server.url, "PROJECT_DATABASE": str(tmp_path / "project.db")}
        return kind.serves(f"{PROJECT}:{application}", tmp_path, **settings)

    return serve


def statuses(server: HttpServer) -> dict[str, str]:
    """Return how runs have ended, by id."""
    return {event["runId"]: event["data"]["status"] for event in server.events() if event["kind"] == "run.ended"}


def ends(server: HttpServer) -> int:
    """Return how many ends were told."""
    return sum(event["kind"] == "run.ended" for event in server.events())


@pytest.mark.parametrize(
    ("kind", "application", "paths"),
    [(UVICORN, "asgi", ["sync", "async"]), (DAPHNE, "asgi", ["sync", "async"]), (GTHREAD, "wsgi", ["sync", "async"])],
    ids=["uvicorn", "daphne", "gunicorn"],
)
def test_64_requests_at_once(serve: Serve, server: HttpServer, kind: Kind, application: str, paths: list[str]) -> None:
    """Check 5: no request sees another's run, actor or tags, in threads or on the loop, and pools are left clean."""
    with serve(kind, application) as web:
        asked = [f"/{paths[n % 2]}?looks=5&actor=u-{n}" for n in range(64)]
        said = [got.json() for got in web.get_all(asked, at_once=64)]
        assert 0 == web.get("/left").json()["left"]
        assert server.wait_for(lambda: 64 == ends(server), 20)
    assert {True} == {same for each in said for same in each["same"]}
    assert [f"u-{n}" for n in range(64)] == [each["actor"] for each in said]
    assert ["sync", "async"] * 32 == [each["tags"]["http.route"] for each in said]
    actors = {each["run"]: each["actor"] for each in said}
    assert {True} == {actors[event["runId"]] == event["actorExternalId"] for event in server.events()}


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_last_events_under_uvicorn(serve: Serve, server: HttpServer, workers: str) -> None:
    """Check 6: with the wrapper, all events arrive although the collector is slow, and the server leaves in time."""
    server.behave(Slow(0.8), path="/events")
    with serve(uvicorn("--workers", workers), "asgi") as web:
        assert [200] * 4 == [got.status for got in web.get_all(["/sync"] * 4, at_once=4)]
        seconds = web.stop()
    assert {"run.started": 4, "run.ended": 4} == Counter(event["kind"] for event in server.events())
    assert seconds < 10


@pytest.mark.parametrize(
    ("kind", "application", "path"),
    [(UVICORN, "asgi", "stream-async"), (DAPHNE, "asgi", "stream-async"), (GTHREAD, "wsgi", "stream")],
    ids=["uvicorn", "daphne", "gunicorn"],
)
class TestStreams:
    """Streams over real connections."""

    def test_whole(self, serve: Serve, server: HttpServer, kind: Kind, application: str, path: str) -> None:
        """Check 9: the run is current in every chunk, and all runs end well, once."""
        with serve(kind, application) as web:
            assert b" True" * 3 == web.get(f"/{path}").body[1024:]
            assert server.wait_for(lambda: 2 == ends(server))
        assert {"run-0": "success", "run-0-inner": "success"} == statuses(server)

    def test_left(self, serve: Serve, server: HttpServer, kind: Kind, application: str, path: str) -> None:
        """Check 10: the runs of a client that has left are interrupted, and the next request starts clean."""
        with serve(kind, application) as web:
            web.leave(f"/{path}?chunks=600&pause=0.05", after_bytes=1500)
            assert server.wait_for(lambda: 2 == ends(server), 10)
            assert {b"False"} == {got.body for got in web.get_all(["/current"] * 8, at_once=4)}
        assert {"run-0": "interrupted", "run-0-inner": "interrupted"} == statuses(server)


@pytest.mark.parametrize(
    ("kind", "application"), [(UVICORN, "asgi"), (gunicorn("gthread", "-w", "1"), "wsgi")], ids=["uvicorn", "gunicorn"]
)
def test_failing_views(serve: Serve, server: HttpServer, kind: Kind, application: str) -> None:
    """Check 12: what a view raises, and a 500 of its own, are errors, once each; the pages are what they were."""
    paths = ["failing-sync", "failing-async", "answering/500", "answering/404"]
    with serve(kind, application) as web:
        pages = [web.get(f"/{path}") for path in paths]
        assert server.wait_for(lambda: 4 == ends(server), 10)
        web.stop()
    assert [500, 500, 500, 404] == [page.status for page in pages]
    assert [True, True] == [b"Server Error" in page.body for page in pages[:2]]
    assert [b"mine", b"mine"] == [page.body for page in pages[2:]]
    assert ["error", "error", "error", "success"] == [statuses(server)[f"run-{n}"] for n in range(4)]
    assert 4 == ends(server)


def test_a_view_whose_client_has_left(serve: Serve, server: HttpServer) -> None:
    """Check 11: the run is interrupted; the thread that goes on may call no tool, and what it does is counted only."""
    with serve(UVICORN, "asgi") as web:
        web.leave("/slow", after_seconds=0.4)
        assert server.wait_for(lambda: {"slow": "interrupted"} == statuses(server), 1.4)
        told = {"after": ["BLOCK/TERMINATE"], "dropped": {"ended": 2}}
        assert server.wait_for(lambda: told == web.get("/after").json())
        web.stop()
    assert ["run.started", "run.ended"] == [event["kind"] for event in server.events()]


@pytest.mark.parametrize("again", range(5))
@pytest.mark.parametrize("worker", ["gevent", "sync"])
def test_preloaded_projects(serve: Serve, server: HttpServer, worker: str, again: int) -> None:
    """Check 1, for Django: forked workers keep requests apart, and their last events are delivered."""
    pytest.importorskip("gevent", reason="gevent is not installed")
    with serve(gunicorn(worker, "-w", "2", "--preload"), "wsgi") as web:
        said = [got.json() for got in web.get_all([f"/sync?looks=5&actor=u-{n}" for n in range(24)], at_once=24)]
        web.stop(signal.SIGTERM)
    assert [(f"u-{n}", [True] * 5) for n in range(24)] == [(each["actor"], each["same"]) for each in said]
    told = Counter(event["kind"] for event in server.events())
    assert {"run.started": 24, "run.ended": 24} == told, web.log.read_text()
