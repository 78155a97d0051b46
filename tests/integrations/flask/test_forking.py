"""What Python has to say of servers that fork."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("gunicorn", reason="gunicorn is not installed")

from tests.support.http_server import HttpServer
from tests.support.web_servers import gunicorn


@pytest.mark.skipif(sys.version_info < (3, 12), reason="forking with threads is warned of since Python 3.12")
def test_no_warning_of_forks(tmp_path: Path) -> None:
    """With warnings as errors, a preloaded app that was at work before the fork is served without any."""
    strict = gunicorn("sync", "-w", "2", "--preload", python=["-X", "dev", "-W", "error::DeprecationWarning"])
    app = "tests.integrations.flask.site:app"
    with HttpServer() as plane, strict.serves(app, tmp_path, SITE_CONTROL_PLANE=plane.url) as server:
        assert {200} == {got.status for got in server.get_all(["/work"] * 8, at_once=8)}
        server.stop()
        log = server.log.read_text()
    assert "DeprecationWarning" not in log
