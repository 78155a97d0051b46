"""The Flask integration under real servers, with a control plane over HTTP."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gunicorn", reason="gunicorn is not installed")
pytest.importorskip("gevent", reason="gevent is not installed")

from handlebar.control import EmbeddedControlPlane, open_control_plane
from tests.support.control import url_of
from tests.support.http_server import Connection, Hang, HttpServer, whole
from tests.support.servers import a_key, serving
from tests.support.waiting import eventually
from tests.support.web_servers import PATIENCE, Kind, WebServer, free_port, gunicorn, uwsgi

pytestmark = pytest.mark.slow

APP = "tests.integrations.flask.site:app"
MASTER = "run-of-the-master"
GEVENT = gunicorn("gevent", "-w", "2")
SYNC = gunicorn("sync", "-w", "2")
GTHREAD = gunicorn("gthread", "-w", "2", "--threads", "8")
AGAIN = range(5)
"""Faults of forking are races."""


@pytest.fixture(name="plane")
def _plane() -> Iterator[HttpServer]:
    with HttpServer() as server:
        yield server


Serve = Callable[..., Any]


@pytest.fixture(name="serve")
def _serve(plane: HttpServer, tmp_path: Path) -> Serve:
    def serve(kind: Kind, **environment: str) -> Any:
        return kind.serves(APP, tmp_path, SITE_CONTROL_PLANE=plane.url, **environment)

    return serve


def preloading(kind: Kind) -> Kind:
    """Return *kind* with the app imported before the workers are forked."""
    return Kind(kind.name, [*kind.command[:-1], "--preload", kind.command[-1]])


def events(plane: HttpServer, run: str | None = None) -> list[str]:
    """Return the kinds of the events so far, of one run or of all but the master's."""
    told = [event for event in plane.events() if event["runId"] == run or (run is None and event["runId"] != MASTER)]
    return [event["kind"] for event in told]


def status_of(plane: HttpServer, run: str) -> list[str]:
    """Return how a run has ended, as often as it was told."""
    ends = [event for event in plane.events() if event["runId"] == run and event["kind"] == "run.ended"]
    return [event["data"]["status"] for event in ends]


def works(server: WebServer, plane: HttpServer, number: int) -> list[Any]:
    """Make so many requests at once, and wait for their four events each; return what they say."""
    before = len(events(plane))
    said = [got.json() for got in server.get_all([f"/work?actor=u-{n}&mark=m-{n}" for n in range(number)], at_once=40)]
    assert plane.wait_for(lambda: before + 4 * number == len(events(plane)), 20), Counter(events(plane))
    return said


def both_serve(server: WebServer) -> bool:
    """Whether two processes come to serve."""
    pids: set[int] = set()

    def served() -> bool:
        pids.update(got.json()["pid"] for got in server.get_all(["/current"] * 8, at_once=8))
        return 2 == len(pids)

    return eventually(served)


@pytest.mark.parametrize("again", AGAIN)
@pytest.mark.parametrize("kind", [GEVENT, SYNC, GTHREAD], ids=lambda kind: kind.name)
def test_preloaded_apps(serve: Serve, plane: HttpServer, kind: Kind, again: int) -> None:
    """Checks 1 and 2: each request has its own run, all events of both workers arrive; init starts no thread."""
    with serve(preloading(kind), SITE_BEGINS="1") as server:
        assert both_serve(server)
        said = works(server, plane, 40)
        assert "threads after init: 1\n" in server.log.read_text()
        server.stop()
    assert {(True,) * 5} == {tuple(each["same"]) for each in said}
    assert [f"u-{n}" for n in range(40)] == [each["actor"] for each in said]
    assert ["run.started", "run.ended"] == events(plane, MASTER)


@pytest.mark.parametrize("again", range(10))
def test_uwsgi(serve: Serve, plane: HttpServer, again: int) -> None:
    """Check 3: uWSGI forks without Python's hooks; both processes serve, all events arrive, and it leaves in time."""
    pytest.importorskip("pyuwsgi", reason="pyuwsgi is not installed")
    kind = uwsgi("--processes", "2", "--enable-threads", "--callable", "app")
    module = Kind(kind.name, [word.replace("{app}", APP.partition(":")[0]) for word in kind.command])
    with serve(module, SITE_BEGINS="1") as server:
        assert both_serve(server)
        works(server, plane, 16)
        seconds = server.stop()
    assert seconds < 10


@pytest.mark.parametrize("again", AGAIN)
def test_no_worker_reads_anothers_answer(serve: Serve, plane: HttpServer, again: int) -> None:
    """Check 4: a client that was at work in the master shares no connection with the workers' clients."""

    def echo(connection: Connection) -> None:
        mark = connection.request.json()["args"].get("mark", "")
        connection.send(whole(200, {**plane.decision, "message": mark}))

    plane.behave(echo, path="/evaluate")
    with serve(preloading(gunicorn("sync", "-w", "4")), SITE_BEGINS="1") as server:
        said = works(server, plane, 200)
    assert [f"m-{n}" for n in range(200)] == [each["said"] for each in said]


def test_64_requests_at_once(serve: Serve, plane: HttpServer) -> None:
    """In 64 threads no request sees another's actor, and each event names the actor of its run."""
    with serve(gunicorn("gthread", "-w", "1", "--threads", "64")) as server:
        said = works(server, plane, 64)
    actors = {each["run"]: each["actor"] for each in said}
    assert [f"u-{n}" for n in range(64)] == [each["actor"] for each in said]
    assert {True} == {actors[event["runId"]] == event["actorExternalId"] for event in plane.events()}


@pytest.mark.parametrize("kind", [SYNC, GTHREAD, GEVENT], ids=lambda kind: kind.name)
def test_a_sink_that_hangs(serve: Serve, plane: HttpServer, kind: Kind) -> None:
    """Check 7: requests go on without errors, what does not fit is counted, and the exit is bounded."""
    plane.behave(Hang(), path="/events")
    with serve(kind) as server:
        # Two events each: three times what both workers have room for, who share them unevenly.
        answers = server.get_all(["/quick"] * 1800, at_once=16)
        dropped = [server.get("/stats").json()["dropped"] for _ in range(8)]
        seconds = server.stop()
    assert {200} == {answer.status for answer in answers}
    assert max(dropped) > 0
    assert seconds < 10


def test_a_control_plane_that_is_killed(tmp_path: Path) -> None:
    """Check 8: every request is answered meanwhile, the new process is delivered to, and nothing is told twice."""
    file, port = tmp_path / "plane.db", free_port()
    key = a_key(file, "agent").secret
    settings = {"SITE_CONTROL_PLANE": f"http://127.0.0.1:{port}", "SITE_API_KEY": key}
    with ExitStack() as stack:
        plane = stack.enter_context(serving(file, port=port))
        server = stack.enter_context(GTHREAD.serves(APP, tmp_path, **settings))
        pool = stack.enter_context(ThreadPoolExecutor(8))
        answers = [pool.submit(server.get, "/quick") for _ in range(200)]
        assert eventually(lambda: 60 < sum(answer.done() for answer in answers), seconds=PATIENCE)
        plane.process.kill()
        plane.process.wait()
        time.sleep(2)
        stack.enter_context(serving(file, port=port))
        assert {200} == {answer.result().status for answer in answers}
        looked_at = stack.enter_context(closing(open_control_plane(url_of(file))))
        before = ended(looked_at)
        answers = [pool.submit(server.get, "/quick") for _ in range(20)]
        assert {200} == {answer.result().status for answer in answers}
        assert eventually(lambda: set(ended(looked_at)) - set(before), seconds=PATIENCE)
        server.stop()
        assert {1} == set(ended(looked_at).values())


def ended(plane: EmbeddedControlPlane) -> Counter[str]:
    """Count how often each run's end was told."""
    return Counter(event.run_id for event in plane.stored_events(None) if event.kind == "run.ended")


@pytest.mark.parametrize("kind", [SYNC, GTHREAD, GEVENT], ids=lambda kind: kind.name)
class TestStreams:
    """Streams over real connections."""

    @pytest.mark.parametrize("way", ["plain", "context"])
    def test_whole(self, serve: Serve, plane: HttpServer, kind: Kind, way: str) -> None:
        """Check 9: the run is current in every chunk, and ends once; as an error where the generator raises."""
        with serve(kind) as server:
            whole_ = server.get(f"/stream/good?{way}")
            assert b"x" * 1024 + b" True" * 3 == whole_.body
            try:
                server.get(f"/stream/bad?{way}&raise")
            except (OSError, HTTPException):
                pass  # some servers cut the connection, some end it well
            assert plane.wait_for(lambda: ["error"] == status_of(plane, "bad"))
        assert ["success"] == status_of(plane, "good")

    def test_left(self, serve: Serve, plane: HttpServer, kind: Kind) -> None:
        """Check 10: the run of a client that has left is interrupted, and the next request starts clean."""
        with serve(kind) as server:
            server.leave("/stream/left?chunks=600&pause=0.05", after_bytes=1500)
            assert plane.wait_for(lambda: ["interrupted"] == status_of(plane, "left"), 10)
            nows = [got.json()["run"] for got in server.get_all(["/current"] * 16, at_once=4)]
        assert {"None"} == set(nows)


def test_failing_views(serve: Serve, plane: HttpServer) -> None:
    """Check 12: what a view raises, and a 500 of its own, are errors, once each; the pages are what they were."""
    with serve(GTHREAD) as server:
        pages = [server.get(f"/failing/{status}") for status in (0, 500, 404)]
        assert plane.wait_for(lambda: 3 == events(plane).count("run.ended"), 10)
        server.stop()
    assert [(500, True), (500, False), (404, False)] == [
        (page.status, b"Internal Server Error" in page.body) for page in pages
    ]
    assert [["error"], ["error"], ["success"]] == [status_of(plane, f"failing-{each}") for each in (0, 500, 404)]


def test_gunicorns_time_limit(serve: Serve, plane: HttpServer) -> None:
    """Check 13: the run of a worker that is told to leave in the middle is interrupted, and its end delivered."""
    with serve(gunicorn("sync", "-w", "1", "--timeout", "2")) as server:
        try:
            server.get("/slow?seconds=6")
        except (OSError, HTTPException):
            pass  # nobody answers
        assert plane.wait_for(lambda: ["interrupted"] == status_of(plane, "slow"), 10)


def test_a_worker_that_is_killed(serve: Serve, plane: HttpServer) -> None:
    """Check 13: nothing more is told of its run, and the worker in its place delivers from its first request."""
    with serve(gunicorn("sync", "-w", "1")) as server:
        worker = server.get("/work").json()["pid"]
        server.leave("/slow?seconds=60", after_seconds=0.5)
        assert plane.wait_for(lambda: ["run.started"] == events(plane, "slow"), 10)
        os.kill(worker, signal.SIGKILL)
        said = server.get("/work").json()
        assert plane.wait_for(lambda: 4 == len(events(plane, said["run"])), 10)
    assert worker != said["pid"]
    assert ["run.started"] == events(plane, "slow")


def test_the_time_of_a_killed_run(plane: HttpServer, tmp_path: Path) -> None:
    """Check 13: for the control plane such a run ends when its time is over, though nobody is left to say so."""
    file = tmp_path / "handlebar.db"
    with gunicorn("sync", "-w", "1").serves(APP, tmp_path, SITE_CONTROL_PLANE=url_of(file)) as server:
        worker = server.get("/current").json()["pid"]
        server.leave("/slow?seconds=60&ttl_ms=8000", after_seconds=0.5)
        with closing(open_control_plane(url_of(file))) as looked_at:

            def told() -> list[str]:
                return [event.kind for event in looked_at.stored_events("slow")]

            assert eventually(lambda: ["run.started"] == told())
            assert ["active"] == [run.status for run in looked_at.runs_of_id("slow")]
            os.kill(worker, signal.SIGKILL)
            assert eventually(lambda: ["timeout"] == [run.status for run in looked_at.runs_of_id("slow")])
            assert ["run.started"] == told()


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    "kind", [SYNC, GTHREAD, GEVENT, preloading(GEVENT)], ids=["sync", "gthread", "gevent", "preload"]
)
def test_the_last_events(serve: Serve, plane: HttpServer, kind: Kind, sent: signal.Signals) -> None:
    """A graceful and a quick stop both deliver what was just emitted."""
    with serve(kind) as server:
        # A worker that is told to leave while it boots does not hear it: that is gunicorn's own race.
        assert both_serve(server)
        server.get_all(["/quick"] * 8, at_once=4)
        server.stop(sent)
    assert {"run.started": 8, "run.ended": 8} == Counter(events(plane))


def test_workers_that_are_replaced(serve: Serve, plane: HttpServer) -> None:
    """SIGHUP restarts the workers; the old ones deliver what they had, the new ones what comes."""
    with serve(SYNC) as server:
        server.get_all(["/quick"] * 8, at_once=4)
        before = {server.get("/work").json()["pid"] for _ in range(8)}
        server.process.send_signal(signal.SIGHUP)
        assert plane.wait_for(lambda: server.get("/work").json()["pid"] not in before, 20)
        server.stop()
    ends = Counter(events(plane))
    assert ends["run.started"] == ends["run.ended"] > 16
