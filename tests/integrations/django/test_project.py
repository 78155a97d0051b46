"""The Django app: settings, system checks, commands."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest

pytest.importorskip("django", reason="Django is not installed: pip install handlebar[django]")

from django.core import checks
from django.core.management import call_command
from django.test import Client
from django.test.utils import override_settings

from handlebar.errors import NotInitialisedError
from handlebar.integrations.django import get_client, publishers
from tests.integrations.django.conftest import Configure
from tests.support.celery_messages import Outbox
from tests.support.control import ROOT
from tests.support.http_server import HttpServer

AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
OURS = "handlebar.integrations.django.HandlebarMiddleware"


def found(*, deploy: bool = False) -> list[str]:
    """Return the ids of what our checks say."""
    said = checks.run_checks(tags=["handlebar"], include_deployment_checks=deploy)
    return [str(message.id) for message in said]


class TestChecks:
    """`manage.py check`."""

    @pytest.mark.parametrize(
        ("setting", "expected"),
        [
            ({}, ["handlebar.E001"]),
            ({"AGENT": {"name": "Desk"}}, ["handlebar.E001"]),
            ({"AGENT": "desk"}, []),
            ({"AGENT": {"slug": "desk"}}, []),
            ({"AGENT": "desk", "FAIL_CLOSE": True}, ["handlebar.E002"]),
            ({"AGENT": "desk", "ACTOR": "no.such.thing"}, ["handlebar.E003"]),
            ({"AGENT": "desk", "SESSION": "tests.integrations.django.project.views.FIRST_CHUNK"}, ["handlebar.E003"]),
            ({"AGENT": "desk", "FAIL_CLOSED": "perhaps"}, ["handlebar.E004"]),
            ({"AGENT": 7}, ["handlebar.E004"]),
            ({"AGENT": "desk", "CELERY": "perhaps"}, ["handlebar.E004"]),
        ],
    )
    def test_the_setting(self, setting: dict[str, Any], expected: Sequence[str]) -> None:
        """Each mistake in HANDLEBAR has an id of its own."""
        with override_settings(HANDLEBAR=setting):
            assert expected == found()

    def test_a_near_match(self) -> None:
        """An unknown key comes with the one that was meant."""
        with override_settings(HANDLEBAR={"AGENT": "desk", "FAIL_CLOSE": True}):
            assert "Did you mean 'FAIL_CLOSED'?" == checks.run_checks(tags=["handlebar"])[0].hint

    @pytest.mark.parametrize(
        ("stack", "more", "expected"),
        [
            ([], {}, ["handlebar.W001"]),
            ([OURS, AUTHENTICATION], {}, ["handlebar.W002"]),
            ([OURS, AUTHENTICATION], {"ACTOR": "tests.integrations.django.project.views.an_actor"}, []),
            ([AUTHENTICATION, OURS], {}, []),
        ],
    )
    def test_the_middleware(self, stack: Sequence[str], more: dict[str, Any], expected: Sequence[str]) -> None:
        """A middleware that is missing, or stands too high, is told."""
        with override_settings(MIDDLEWARE=stack, HANDLEBAR={"AGENT": "desk", **more}):
            assert expected == found()

    def test_before_deployment(self) -> None:
        """No key, and failing open, are told with --deploy only."""
        with override_settings(HANDLEBAR={"AGENT": "desk"}):
            assert ([], ["handlebar.W003", "handlebar.W004"]) == (found(), found(deploy=True))
        with override_settings(HANDLEBAR={"AGENT": "desk", "ENDPOINT": "sqlite:///x.db", "FAIL_CLOSED": True}):
            assert [] == found(deploy=True)


class TestSettings:
    """HANDLEBAR, and who reads it."""

    def test_override_settings_takes_effect(self, configured: Configure) -> None:
        """Another HANDLEBAR is another client, and the one before is there again afterwards."""
        with configured(AGENT="one"):
            assert "one" == get_client().config.agent.slug
            with configured(AGENT={"slug": "two", "name": "Two"}, ENABLED=False):
                assert ("Two", "off") == (get_client().config.agent.name, get_client().config.enforce_mode)
            assert "one" == get_client().config.agent.slug

    def test_the_environment_says_the_rest(self, configured: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
        """What HANDLEBAR leaves open is looked up in the environment."""
        monkeypatch.setenv("HANDLEBAR_CHECK_TIMEOUT", "3")
        with configured():
            assert 3.0 == get_client().config.decision_timeout

    def test_no_agent(self) -> None:
        """Without an agent there is no client, and requests are served all the same."""
        with override_settings(HANDLEBAR={}):
            assert "ok" == Client().get("/health").text
            with pytest.raises(NotInitialisedError):
                get_client()


class TestCelery:
    """Tasks that are published in requests."""

    @pytest.fixture(name="outbox")
    def _outbox(self, monkeypatch: pytest.MonkeyPatch) -> Outbox:
        made = Outbox(monkeypatch)
        # As when Django has started, before the outbox was there.
        publishers.connect()
        return made

    def test_lineage(self, configured: Configure, outbox: Outbox) -> None:
        """A task takes the session, the actor and the run along in which it is published."""
        with configured(), get_client().run("web", session_id="s-1", actor="u-1"):
            outbox.publish()
        actor = {"externalId": "u-1"}
        told = {"session": "s-1", "actor": actor, "parent_run": "web", "root_run": "web"}
        assert told == outbox.lineage()

    def test_off(self, configured: Configure, outbox: Outbox) -> None:
        """With CELERY off, messages are what Celery makes them."""
        with configured(CELERY=False), get_client().run("web"):
            outbox.publish()
        assert outbox.lineage() is None


class TestCommands:
    """`manage.py handlebar`."""

    def test_a_control_plane_that_is_there(self, governed: None, server: HttpServer) -> None:
        """Both commands reach it, and say so for programs."""
        said = io.StringIO()
        call_command("handlebar", "check", "--json", stdout=said)
        call_command("handlebar", "send-test", stdout=io.StringIO())
        assert json.loads(said.getvalue())["registered"]
        assert ["run.started", "run.ended"] == [event["kind"] for event in server.events()]

    def test_a_control_plane_that_is_not(self, configured: Configure) -> None:
        """The exit code is 1."""
        with configured(ENDPOINT="http://127.0.0.1:1"), pytest.raises(SystemExit) as left:
            call_command("handlebar", "check", stdout=io.StringIO())
        assert 1 == left.value.code


def test_other_commands_need_no_key(capsys: pytest.CaptureFixture[str]) -> None:
    """`manage.py shell` works with nothing configured but the agent."""
    with override_settings(HANDLEBAR={"AGENT": "desk"}):
        call_command("shell", command="print('here')", verbosity=0)
    assert "here\n" == capsys.readouterr().out


SCRIPT = """
import io, os, threading
os.environ["PROJECT_CONTROL_PLANE"] = {url!r}
from tests.integrations.django.project import servers
from django.core.management import call_command
call_command("check", stdout=io.StringIO())
call_command("migrate", verbosity=0)
print(len(os.listdir("/proc/self/task")), [each.name for each in threading.enumerate()])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc, which is Linux's")
def test_commands_touch_no_control_plane(server: HttpServer) -> None:
    """Check 20: `check` and `migrate` make no connection and start no thread."""
    script = [sys.executable, "-W", "error", "-c", SCRIPT.format(url=server.url)]
    done = subprocess.run(script, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
    assert ("1 ['MainThread']\n", "") == (done.stdout, done.stderr)
    assert 0 == server.connections
