"""Setting up, and the decorator, without any broker."""

from __future__ import annotations

import threading
from typing import Any

import pytest

pytest.importorskip("celery", reason="Celery is not installed: pip install handlebar[celery]")

from celery import Celery

import handlebar
from handlebar.errors import ApprovalPendingError, ConfigError
from handlebar.integrations.celery import governed_task, setup
from tests.support.clients import client_on
from tests.support.planes import ScriptedPlane


@pytest.fixture(name="plane")
def _plane() -> ScriptedPlane:
    return ScriptedPlane()


@pytest.fixture(name="app")
def _app(plane: ScriptedPlane, monkeypatch: pytest.MonkeyPatch) -> Celery:
    app = Celery(broker="memory://", set_as_current=False)
    setup(app, client_on(plane, monkeypatch))
    return app


def test_setting_up_opens_nothing(plane: ScriptedPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker may fork after it; and it may be done twice."""
    before, app = threading.active_count(), Celery(set_as_current=False)
    client = client_on(plane, monkeypatch)
    setup(app, client)
    setup(app, client)
    assert (before, []) == (threading.active_count(), plane.calls)

    @governed_task(app=app)
    def task() -> None: ...

    task.apply().get()
    assert 1 == len(plane.named("start"))


def test_a_client_that_is_found_later(plane: ScriptedPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function may find the client when the first task needs it, as a Django project's settings do."""
    app, client, asked = Celery(set_as_current=False), client_on(plane, monkeypatch), []
    setup(app, lambda: asked.append("for it") or client)
    assert [] == asked

    @governed_task(app=app)
    def task() -> None: ...

    task.apply().get()
    assert 1 == len(plane.named("start"))


def test_a_key_that_is_none(app: Celery) -> None:
    """A secret that could be guessed is refused."""
    with pytest.raises(ConfigError, match="signing_key"):
        setup(app, signing_key="short")


def test_a_governed_task_is_a_function(app: Celery) -> None:
    """Called as a function it is no run; its arguments are checked when it is published, as those of every task."""

    @governed_task(app=app, bind=True)
    def add(self: Any, one: int, other: int) -> Any:
        """Add two numbers."""
        return one + other, handlebar.get_current_run()

    assert (3, None) == add(1, 2)
    assert ("add", "Add two numbers.") == (add.__name__, add.__doc__)
    with pytest.raises(TypeError, match="other"):
        add.delay(1)


def test_shared_tasks() -> None:
    """Without an app the task belongs to every app, and without options the decorator needs no call."""

    @governed_task
    def shared() -> None: ...

    first, second = Celery(set_as_current=False), Celery(set_as_current=False)
    assert shared.name in first.tasks
    assert shared.name in second.tasks
    assert {"run": True} == second.tasks[shared.name].handlebar


def test_eager_tasks_do_not_wait(app: Celery, plane: ScriptedPlane) -> None:
    """Where there is no broker to come back from, the caller learns that a person is asked, and can resume the run."""

    @governed_task(app=app)
    def ask() -> None:
        run = handlebar.get_current_run()
        assert run is not None
        raise ApprovalPendingError(run.before_tool_sync("refund", {}), "a-1", run.resume_token)

    with pytest.raises(ApprovalPendingError) as raised:
        ask.apply(throw=True)
    assert "a-1" == raised.value.approval_id
    assert [] == plane.named("end")


def test_failing_clients(app: Celery, plane: ScriptedPlane) -> None:
    """A task whose run cannot be started has none: its guarded tools refuse to be called, and nothing stays bound."""
    setup(app)  # no default client

    @handlebar.tool
    def refund() -> None: ...

    @governed_task(app=app)
    def task() -> None:
        refund()

    with pytest.raises(handlebar.NoCurrentRunError):
        task.apply(throw=True)


def test_eager_tasks_that_throw(app: Celery, plane: ScriptedPlane) -> None:
    """The run of an eager task whose exception goes on to its caller ends as an error."""

    @governed_task(app=app)
    def fail() -> None:
        raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        fail.apply(throw=True)
    assert ["error"] == [status for _, status in plane.named("end")]
