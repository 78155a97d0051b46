"""What the tests of the Celery integration share: a real broker, a control plane over HTTP, and workers."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from handlebar.core import current
from tests.support.celery_workers import PATIENCE, Worker, valkey, works
from tests.support.http_server import HttpServer

DESK = "tests.integrations.celery.desk"


@pytest.fixture(name="broker", scope="session")
def _broker() -> Iterator[str]:
    """A Valkey server's address; each test begins with no messages in it."""
    with valkey() as address:
        yield address


@pytest.fixture(name="plane")
def _plane() -> Iterator[HttpServer]:
    with HttpServer() as server:
        yield server


@frozen
class Desk:
    """The app, as those who publish see it, and its control plane."""

    app: Any
    module: Any
    plane: HttpServer
    folder: Path
    environment: dict[str, str]

    @contextmanager
    def worker(self, pool: str, *more: str, **environment: str) -> Iterator[Worker]:
        """Run a worker until the block is left."""
        with works(DESK, self.folder, pool, *more, **self.environment, **environment) as worker:
            yield worker

    def events(self, run_id: str | None = None) -> list[dict[str, Any]]:
        """Return what was recorded, of one run or of all."""
        return [event for event in self.plane.events() if run_id in (None, event["runId"])]

    def endings(self, run_id: str) -> list[str]:
        """Return how a run has ended, as often as that was told."""
        return [event["data"]["status"] for event in self.events(run_id) if event["kind"] == "run.ended"]

    def runs(self, session_id: str) -> list[str]:
        """Return the runs of a session, in the order in which they were told to have started."""
        starts = [event for event in self.events() if event["kind"] == "run.started"]
        return [event["runId"] for event in starts if event.get("sessionId") == session_id]

    def all_have_ended(self, session_id: str, runs: int) -> bool:
        """Whether so many runs of a session come to have ended, each of them once."""

        def holds() -> bool:
            found = self.runs(session_id)
            return runs == len(found) and all(1 == len(self.endings(run)) for run in found)

        return self.plane.wait_for(holds, PATIENCE)

    def kinds(self) -> Counter[str]:
        """Count what was recorded."""
        return Counter(event["kind"] for event in self.events())


@pytest.fixture(name="desk")
def _desk(broker: str, plane: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setenv("DESK_BROKER", broker)
    monkeypatch.setenv("DESK_CONTROL_PLANE", plane.url)
    sys.modules.pop(DESK, None)
    module = __import__(DESK, fromlist=["app"])
    module.app.control.purge()
    yield Desk(module.app, module, plane, tmp_path, {"DESK_BROKER": broker, "DESK_CONTROL_PLANE": plane.url})
    module.client.shutdown_sync()
    module.app.close()


@pytest.fixture(autouse=True)
def _no_tasks_for_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Celery gives the tasks of one test's app to every app that is made later."""
    state = pytest.importorskip("celery._state", reason="Celery is not installed: pip install handlebar[celery]")
    monkeypatch.setattr(state, "_on_app_finalizers", set(state._on_app_finalizers))


@pytest.fixture(autouse=True)
def _nothing_stays_bound() -> Iterator[None]:
    """After each test nothing is current: no task, and no run."""
    yield
    assert current.OUTSIDE is current.get_current_scope()
    assert current.get_current_run() is None
