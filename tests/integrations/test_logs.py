"""The current run in the application's own logs."""

from __future__ import annotations

import logging

import pytest

from handlebar.integrations.logging import RunFilter
from tests.support.clients import client_on
from tests.support.planes import ScriptedPlane


def test_the_logging_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every record tells the run and the session, or that there is none; formats may rely on it."""
    record = logging.LogRecord("app", logging.INFO, __file__, 1, "hello", None, None)
    text = logging.Formatter("%(handlebar_run_id)s %(handlebar_session_id)s %(message)s")
    assert RunFilter().filter(record)
    assert "- - hello" == text.format(record)
    with client_on(ScriptedPlane(), monkeypatch).run("r-1", session_id="s-1"):
        RunFilter().filter(record)
    assert "r-1 s-1 hello" == text.format(record)
    with client_on(ScriptedPlane(), monkeypatch).run("r-2"):
        RunFilter().filter(record)
    assert "r-2 - hello" == text.format(record)


def test_the_structlog_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events tell the run where there is one, and what the caller says itself stays."""
    structlog = pytest.importorskip("structlog", reason="structlog is not installed")
    from handlebar.integrations.structlog import add_run

    with structlog.testing.capture_logs(processors=[add_run]) as said:
        log = structlog.get_logger()
        log.info("outside")
        with client_on(ScriptedPlane(), monkeypatch).run("r-1", session_id="s-1"):
            log.info("inside")
            log.info("own", handlebar_run_id="mine")
    runs = [(each.get("handlebar_run_id"), each.get("handlebar_session_id")) for each in said]
    assert [(None, None), ("r-1", "s-1"), ("mine", "s-1")] == runs
