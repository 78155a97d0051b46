"""Requests to a Flask app: what its runs take over, and how they end."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import flask
import pytest
from flask import Flask, copy_current_request_context, request, stream_with_context

import handlebar
from handlebar.core import current
from handlebar.core.run import Run
from handlebar.integrations.flask import Handlebar, current_run
from tests.support.clients import client_on
from tests.support.planes import ScriptedPlane

Ends = list[tuple[str, str]]


def ends(plane: ScriptedPlane) -> list[str]:
    """Return how the runs have ended, in order."""
    return [status for _, status in plane.named("end")]


def test_a_run_takes_the_requests_actor_session_and_tags(app: Flask, hb: Handlebar, plane: ScriptedPlane) -> None:
    """What the run leaves open is filled in; what it says itself stays."""
    hb.actor_loader(lambda: request.headers.get("X-User"))
    hb.session_loader(lambda: request.headers.get("X-Conversation-Id"))
    runs: list[Run] = []

    @app.get("/orders/<number>")
    def order(number: str) -> str:
        with hb.run(tags={"kind": "chat"}) as run:
            runs.append(run)
            assert run is current_run._get_current_object()  # type: ignore[attr-defined]
        with hb.run(actor="mine", session_id="s-own") as run:
            runs.append(run)
        return number

    app.test_client().get("/orders/7", headers={"X-User": "u-1", "X-Conversation-Id": "c-1"})
    first, second = runs
    assert ("u-1", "c-1") == (first.actor.external_id if first.actor else None, first.session_id)
    assert {"http.method": "GET", "http.route": "/orders/<number>", "kind": "chat"} == first.tags
    assert ("mine", "s-own") == (second.actor.external_id if second.actor else None, second.session_id)


def test_a_request_without_agent_code_asks_nobody(app: Flask, hb: Handlebar, plane: ScriptedPlane) -> None:
    """Check 14: no loader is called, no control plane is asked, and no thread is started."""
    asked: list[str] = []
    hb.actor_loader(lambda: asked.append("actor"))
    app.add_url_rule("/health", view_func=lambda: "ok")
    threads = threading.active_count()
    answer = app.test_client().get("/health")
    assert ("ok", [], [], threads) == (answer.text, asked, plane.calls, threading.active_count())
    assert "Vary" not in answer.headers


def test_an_actor_is_looked_up_once_a_request(app: Flask, hb: Handlebar) -> None:
    """Check 14: two runs of one request cost one look-up."""
    asked: list[str] = []
    hb.actor_loader(lambda: asked.append("u-1") or "u-1")

    @app.get("/")
    def view() -> str:
        with hb.run(), hb.run():
            return "ok"

    app.test_client().get("/")
    assert ["u-1"] == asked


def test_a_loader_that_fails_does_not_break_the_request(
    app: Flask, hb: Handlebar, plane: ScriptedPlane, caplog: pytest.LogCaptureFixture
) -> None:
    """The run has no actor, the failure is logged without its message, and failing open the agent goes on."""
    hb.actor_loader(lambda: 1 / 0)

    @app.get("/")
    def view() -> str:
        with hb.run() as run:
            assert run.actor is None
            return run.before_tool_sync("refund", {}).verdict

    assert "ALLOW" == app.test_client().get("/").text
    assert "The actor loader failed with ZeroDivisionError" in caplog.text


def test_guarded_tools_find_the_requests_run(plane: ScriptedPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of the request's own (RUN_PER_REQUEST) is current in the view and ended after it; `get_client` finds us."""

    @handlebar.tool
    def refund() -> str:
        return "done"

    hosted = Flask("hosted")
    own = Handlebar(hosted, client=client_on(plane, monkeypatch), run_per_request=["view"])

    @hosted.get("/")
    def view() -> str:
        assert handlebar.get_client() is own.client
        return refund()

    hosted.add_url_rule("/health", view_func=lambda: str(handlebar.get_current_run()))
    browser = hosted.test_client()
    assert ("done", "None") == (browser.get("/").text, browser.get("/health").text)
    assert ["success"] == ends(plane)


class TestEnds:
    """What is left open ends with the request, once."""

    @pytest.fixture(name="visit")
    def _visit(self, app: Flask, hb: Handlebar, plane: ScriptedPlane) -> object:
        app.add_url_rule("/left", view_func=lambda: str(hb.client.start_run_sync(handlebar.RunConfig("r"))))
        return None

    def test_what_is_left_open_ends_well(self, app: Flask, plane: ScriptedPlane, visit: object) -> None:
        """A run that the view forgot is ended by the request."""
        app.test_client().get("/left")
        assert [("r", "success")] == plane.named("end")

    def test_a_view_that_raises(self, app: Flask, hb: Handlebar, plane: ScriptedPlane) -> None:
        """Check 12: an unhandled exception is an error, once, and the app's own page is what it was."""

        @app.get("/")
        def view() -> str:
            hb.client.start_run_sync(handlebar.RunConfig("r"))
            raise ValueError("x")

        with app.test_client().get("/") as answer:
            assert "Internal Server Error" in answer.text
        assert (500, [("r", "error")]) == (answer.status_code, plane.named("end"))

    def test_a_handled_error(self, app: Flask, hb: Handlebar, plane: ScriptedPlane) -> None:
        """Check 12: a 500 of the app's own page is an error too, and a 404 is none."""
        app.register_error_handler(500, lambda error: ("mine", 500))

        @app.get("/<int:code>")
        def view(code: int) -> str:
            hb.client.start_run_sync(handlebar.RunConfig(f"r-{code}"))
            flask.abort(code)

        browser = app.test_client()
        with browser.get("/500") as failed, browser.get("/404") as missing:
            assert ("mine", True) == (failed.text, "Not Found" in missing.text)
        assert [("r-500", "error"), ("r-404", "success")] == plane.named("end")

    def test_a_worker_that_is_told_to_leave(self, app: Flask, hb: Handlebar, plane: ScriptedPlane) -> None:
        """SystemExit out of a view, as gunicorn's time limit raises it, ends the run as interrupted."""

        @app.get("/")
        def view() -> str:
            hb.client.start_run_sync(handlebar.RunConfig("r"))
            raise SystemExit(1)

        with pytest.raises(SystemExit):
            app.test_client().get("/")
        assert ["interrupted"] == ends(plane)

    def test_a_thread_with_a_copied_context_ends_nothing(self, app: Flask, hb: Handlebar, plane: ScriptedPlane) -> None:
        """`copy_current_request_context` tears its copy down, and the request's run goes on."""
        seen: list[bool] = []

        @app.get("/")
        def view() -> str:
            run = hb.client.start_run_sync(handlebar.RunConfig("r"))
            thread = threading.Thread(target=copy_current_request_context(lambda: None))
            thread.start()
            thread.join()
            seen.append(run.is_ended)
            return "ok"

        app.test_client().get("/")
        assert ([False], ["success"]) == (seen, ends(plane))

    def test_contexts_of_tests_end_nothing(self, app: Flask, hb: Handlebar, plane: ScriptedPlane) -> None:
        """`test_request_context` is torn down without having begun; `with test_client()` is torn down twice."""
        with app.test_request_context("/left"):
            pass
        app.add_url_rule("/left", view_func=lambda: str(hb.client.start_run_sync(handlebar.RunConfig("r"))))
        with app.test_client() as browser:
            browser.get("/left")
        assert ["success"] == ends(plane)

    def test_a_request_within_a_request(self, app: Flask, hb: Handlebar, plane: ScriptedPlane) -> None:
        """The inner request has a scope of its own, and the outer one goes on with its own afterwards."""

        @app.get("/inner")
        def inner() -> str:
            assert handlebar.get_current_run() is None
            return str(hb.client.start_run_sync(handlebar.RunConfig("inner")).run_id)

        @app.get("/outer")
        def outer() -> str:
            with hb.run("outer") as run:
                app.test_client().get("/inner")
                assert run is handlebar.get_current_run()
                assert not run.is_ended
            return "ok"

        app.test_client().get("/outer")
        assert [("inner", "success"), ("outer", "success")] == plane.named("end")


class TestStreams:
    """Streamed responses: the run is current in every chunk and ends after the last."""

    @pytest.fixture(name="stream", params=[iter, stream_with_context], ids=["plain", "with_context"])
    def _stream(self, request: pytest.FixtureRequest, app: Flask, hb: Handlebar) -> None:
        @app.get("/<int:chunks>")
        def view(chunks: int) -> flask.Response:
            run = hb.client.start_run_sync(handlebar.RunConfig("r"))
            current.push(run)

            def body() -> Iterator[str]:
                for _ in range(3):
                    yield f"{handlebar.get_current_run() is run and not run.is_ended} "
                if chunks == 0:
                    raise ValueError("in the middle")

            return flask.Response(request.param(body()))

    def test_every_chunk_sees_the_run(self, app: Flask, stream: None, plane: ScriptedPlane) -> None:
        """Check 9: three chunks, one end after the last of them."""
        answer = app.test_client().get("/1")
        assert [] == ends(plane)
        assert "True True True " == answer.text
        answer.close()
        assert ["success"] == ends(plane)

    def test_a_generator_that_raises(self, app: Flask, stream: None, plane: ScriptedPlane) -> None:
        """Check 9: the run ends as an error, once."""
        answer = app.test_client().get("/0")
        with pytest.raises(ValueError, match="middle"):
            answer.get_data()
        answer.close()
        assert ["error"] == ends(plane)

    def test_a_client_that_leaves(self, app: Flask, stream: None, plane: ScriptedPlane) -> None:
        """Check 10: a response that is closed before its last chunk was interrupted."""
        answer = app.test_client().get("/1", buffered=False)
        next(iter(answer.response))
        answer.close()
        answer.close()
        assert ["interrupted"] == ends(plane)

    def test_a_client_that_keeps_the_context(self, app: Flask, stream: None, plane: ScriptedPlane) -> None:
        """Flask's test client may hold the request's context while the body is read: nothing stays bound after it."""
        with app.test_client() as browser:
            assert "True True True " == browser.get("/1").text
        assert current.OUTSIDE is current.get_current_scope()
        assert ["success"] == ends(plane)

    def test_a_run_inside_the_generator(self, app: Flask, hb: Handlebar, plane: ScriptedPlane) -> None:
        """A generator may open its run itself: it stays current from chunk to chunk, and nowhere else."""

        @app.get("/")
        def view() -> flask.Response:
            def body() -> Iterator[str]:
                with hb.run("r") as run:
                    yield str(handlebar.get_current_run() is run)
                    yield str(handlebar.get_current_run() is run)

            return flask.Response(body())

        answer = app.test_client().get("/")
        chunks = iter(answer.response)
        assert "True" == _text(next(chunks))
        assert handlebar.get_current_run() is None
        assert "True" == _text(next(chunks))
        answer.close()
        assert 1 == len(ends(plane))


def _text(chunk: str | bytes) -> str:
    return chunk if isinstance(chunk, str) else chunk.decode()


def test_flask_login(app: Flask, hb: Handlebar, plane: ScriptedPlane) -> None:
    """Check 14: without agent code the user is not looked up, and with it once; the run acts for who is logged in."""
    flask_login = pytest.importorskip("flask_login", reason="Flask-Login is not installed")
    manager, loads = flask_login.LoginManager(app), []
    app.secret_key = "only for tests"

    class User(flask_login.UserMixin):  # type: ignore[misc,name-defined]  # Flask-Login may be missing
        id = "ann"

    @manager.user_loader
    def load(user_id: str) -> User:
        loads.append(user_id)
        return User()

    @app.get("/log-in")
    def log_in() -> str:
        flask_login.login_user(User())
        return "ok"

    @app.get("/work")
    def work() -> str:
        with hb.run() as first, hb.run() as second:
            assert first.actor == second.actor
            return first.actor.external_id if first.actor else "nobody"

    app.add_url_rule("/health", view_func=lambda: "ok")
    browser = app.test_client()
    assert "nobody" == browser.get("/work").text
    browser.get("/log-in")
    assert ("ok", []) == (browser.get("/health").text, loads)
    assert ("ann", ["ann"]) == (browser.get("/work").text, loads)
