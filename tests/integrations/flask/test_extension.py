"""The Flask extension: apps, settings, answers to refusals, commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from flask import Flask
from flask.cli import FlaskGroup

import handlebar
from handlebar.core import front
from handlebar.core.schema.governance import FAILCLOSED_DECISION, Decision, HitlPendingCause, RunControl, Verdict
from handlebar.errors import ConfigError, NotInitialisedError
from handlebar.integrations.flask import Handlebar
from tests.support import clients
from tests.support.celery_messages import Outbox
from tests.support.http_server import HttpServer
from tests.support.planes import BLOCK, STOP, ScriptedPlane

PENDING = Decision(Verdict.BLOCK, RunControl.CONTINUE, HitlPendingCause("a-1"), "Ask Ann")


def an_app(slug: str | None = "desk", **config: object) -> Flask:
    """Return an app with settings of its own."""
    app = Flask("shop")
    app.config.update({f"HANDLEBAR_{name}": value for name, value in {"AGENT_SLUG": slug, **config}.items()})
    return app


class TestApps:
    """One extension, any number of apps."""

    def test_two_apps_keep_separate_clients(self) -> None:
        """Each app has its own client, and the extension gives that of the current one."""
        hb = Handlebar()
        apps = [an_app("one"), an_app("two")]
        for app in apps:
            hb.init_app(app)
        slugs = []
        for app in apps:
            with app.app_context():
                slugs.append(hb.client.config.agent.slug)
        assert ["one", "two"] == slugs

    def test_a_factory_may_be_called_twice(self) -> None:
        """A second app of the same factory is an app like the first."""
        hb = Handlebar()
        for _ in range(2):
            hb.init_app(an_app())

    def test_one_app_is_governed_once(self) -> None:
        """A second `init_app` of one app is a mistake, and says so."""
        app = an_app()
        hb = Handlebar(app)
        with pytest.raises(RuntimeError, match="already"):
            hb.init_app(app)

    def test_an_app_that_names_no_agent_uses_the_default_client(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """`handlebar.init()` is found when it is needed, not before."""
        monkeypatch.setattr(front, "_default", [])
        app = an_app(None)
        hb = Handlebar(app)
        with app.app_context(), pytest.raises(NotInitialisedError):
            _ = hb.client
        made = handlebar.init("desk", enforce_mode="off")
        with app.app_context():
            assert made is hb.client


class TestSettings:
    """Where settings come from."""

    def test_the_constructor_beats_the_app_beats_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Constructor, then app.config, then environment, then default; the app's config tells the outcome."""
        monkeypatch.setenv("HANDLEBAR_CHECK_TIMEOUT", "7")
        monkeypatch.setenv("HANDLEBAR_FAIL_CLOSED", "true")
        monkeypatch.setenv("HANDLEBAR_QUEUE_SIZE", "9")
        app = an_app(CHECK_TIMEOUT=3, AGENT_NAME="Desk")
        hb = Handlebar(app, agent_name="The desk")
        with app.app_context():
            config = hb.client.config
        assert ("The desk", 3.0, True) == (config.agent.name, config.decision_timeout, config.fail_closed)
        assert 9 == config.sinks[0].queue_depth  # type: ignore[index,union-attr]
        assert (9, 2.0) == (app.config["HANDLEBAR_QUEUE_SIZE"], app.config["HANDLEBAR_FLUSH_TIMEOUT"])

    def test_prefixed_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """`from_prefixed_env` is enough to configure an app; the key is not copied to the effective settings."""
        monkeypatch.setenv("FLASK_HANDLEBAR_AGENT_SLUG", "desk")
        monkeypatch.setenv("FLASK_HANDLEBAR_ENABLED", "false")
        monkeypatch.setenv("HANDLEBAR_API_KEY", "the-secret")
        app = Flask("shop")
        app.config.from_prefixed_env()
        hb = Handlebar(app)
        with app.app_context():
            assert "off" == hb.client.config.enforce_mode
        assert "HANDLEBAR_API_KEY" not in app.config

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("ENABLED", "perhaps"),
            ("CHECK_TIMEOUT", 0),
            ("RUN_PER_REQUEST", 3),
            ("QUEUE_SIZE", "many"),
            ("CELERY", "perhaps"),
        ],
    )
    def test_wrong_values_are_refused(self, name: str, value: object) -> None:
        """What cannot be meant is refused when the app is made."""
        with pytest.raises(ConfigError):
            Handlebar(an_app(**{name: value}))

    def test_unknown_settings_of_the_constructor(self) -> None:
        """A name that is misspelt is refused with the one that was meant."""
        with pytest.raises(ConfigError, match="did you mean 'FAIL_CLOSED'"):
            Handlebar(an_app(), fail_close=True)

    def test_unknown_settings_of_the_app(self, caplog: pytest.LogCaptureFixture) -> None:
        """Of a key that nobody reads the log tells, and which was meant; other people's keys are none of ours."""
        app = an_app(FAIL_CLOSE=True)
        app.config["HANDLE"] = 1
        Handlebar(app)
        told = [message for message in caplog.messages if "Nothing reads" in message]
        assert ["Nothing reads the setting HANDLEBAR_FAIL_CLOSE; did you mean 'FAIL_CLOSED'?"] == told

    def test_other_fields_of_the_client(self) -> None:
        """`options` takes every other field of the client's config."""
        app = an_app()
        hb = Handlebar(app, options={"tools": [handlebar.Tool("refund")]})
        with app.app_context():
            assert ["refund"] == [tool.name for tool in hb.client.config.tools]


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [(BLOCK, 403, "blocked"), (STOP, 403, "terminated"), (FAILCLOSED_DECISION, 503, "unreachable")],
)
def test_refusals_as_json(
    app: Flask, plane: ScriptedPlane, monkeypatch: pytest.MonkeyPatch, answer: Decision, status: int, code: str
) -> None:
    """With HANDLEBAR_ERROR_RESPONSES a refused call is answered with a status of its own."""
    plane.answer = answer
    browser = _refunds(app, plane, monkeypatch)
    response = browser.get("/")
    assert (status, code) == (response.status_code, response.get_json()["error"]["code"])


def test_a_pending_approval_as_json(app: Flask, plane: ScriptedPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that waits for a person is answered with 202 and the question's id; the resume token stays here."""
    plane.answer = PENDING
    response = _refunds(app, plane, monkeypatch).get("/")
    assert (202, {"approval": {"id": "a-1", "message": "Ask Ann"}}) == (response.status_code, response.get_json())
    assert [] == plane.named("end")


def _refunds(app: Flask, plane: ScriptedPlane, monkeypatch: pytest.MonkeyPatch) -> object:
    hb = Handlebar(app, client=clients.client_on(plane, monkeypatch), error_responses=True)

    @handlebar.tool(on_approval="raise")
    def refund() -> str:
        return "done"

    @app.get("/")
    def view() -> str:
        with hb.run():
            return refund()

    return app.test_client()


class TestCelery:
    """Tasks that are published in requests, where nobody has called the Celery integration's `setup`."""

    def test_lineage(self, plane: ScriptedPlane, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where Celery is installed, a task takes the session, the actor and the run of its request along."""
        outbox = Outbox(monkeypatch)
        app = an_app()
        hb = Handlebar(app, client=clients.client_on(plane, monkeypatch))
        hb.actor_loader(lambda: "u-1")

        @app.get("/")
        def view() -> str:
            with hb.run("web", session_id="s-1"):
                outbox.publish()
            return "ok"

        app.test_client().get("/")
        actor = {"externalId": "u-1"}
        told = {"session": "s-1", "actor": actor, "parent_run": "web", "root_run": "web"}
        assert told == outbox.lineage()

    def test_off(self, plane: ScriptedPlane, monkeypatch: pytest.MonkeyPatch) -> None:
        """With HANDLEBAR_CELERY off, messages are what Celery makes them."""
        outbox = Outbox(monkeypatch)
        hb = Handlebar(an_app(CELERY="off"), client=clients.client_on(plane, monkeypatch))
        with hb._client.run():
            outbox.publish()
        assert outbox.lineage() is None

    def test_where_celery_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """HANDLEBAR_CELERY=True says that Celery is missing; "auto" takes no notice."""
        monkeypatch.setattr("handlebar.integrations.serving.settings.has_celery", lambda: False)
        Handlebar(an_app())
        with pytest.raises(ConfigError, match=r"handlebar\[celery\]"):
            Handlebar(an_app(CELERY=True))


class TestCommands:
    """The group `flask handlebar`."""

    def test_check_and_send_test(self) -> None:
        """Both reach a control plane that is there, and say so for programs."""
        with HttpServer() as server:
            app = an_app(API_KEY="k", ENDPOINT=server.url)
            Handlebar(app)
            runner = app.test_cli_runner()
            checked = runner.invoke(args=["handlebar", "check", "--json"])
            sent = runner.invoke(args=["handlebar", "send-test"])
            assert (0, True) == (checked.exit_code, json.loads(checked.output)["registered"])
            assert 0 == sent.exit_code
            assert ["run.started", "run.ended"] == [event["kind"] for event in server.events()]

    def test_check_without_a_control_plane(self) -> None:
        """Nobody there: the exit code is 1."""
        app = an_app(API_KEY="k", ENDPOINT="http://127.0.0.1:1")
        Handlebar(app)
        result = app.test_cli_runner().invoke(args=["handlebar", "check"])
        assert 1 == result.exit_code
        assert "registered     False" in result.output

    def test_other_commands_need_no_key(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """`flask routes` works with nothing configured but the agent."""
        # Flask leaves a word for its servers here, which would keep those of other tests from starting.
        monkeypatch.setenv("FLASK_RUN_FROM_CLI", "false")
        app = an_app()
        Handlebar(app)
        assert 0 == app.test_cli_runner().invoke(FlaskGroup(create_app=lambda: app), ["routes"]).exit_code


def test_an_embedded_control_plane(tmp_path: Path) -> None:
    """An app is governed by policies in this process, with nothing but settings."""
    rule = {
        "name": "no",
        "selector": {"phase": "tool.before", "tool": {"name": "refund"}},
        "condition": {"kind": "maxCalls", "selector": {"by": "toolName", "patterns": ["refund"]}, "max": 1},
        "effect": {"type": "block"},
    }
    app = an_app(ENDPOINT=f"sqlite:///{tmp_path}/h.db", POLICIES=[{"name": "p", "rules": [rule]}])
    hb = Handlebar(app)
    with app.test_request_context(), hb.run() as run:
        run.after_tool_sync("refund", {}, 1)
        verdicts = [run.before_tool_sync("refund", {}).verdict for _ in range(2)]
        hb.client.shutdown_sync()
    assert "BLOCK" == verdicts[-1]
