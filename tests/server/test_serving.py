"""The server as it is started."""

from __future__ import annotations

import http.client
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from handlebar.control.database import Database
from handlebar.control.keys import KeyRing
from handlebar.errors import ConfigError, PolicyError
from handlebar.server import create_app, serve
from handlebar.server.dispatching import TaskDispatcher
from tests.support.control import ROOT, url_of
from tests.support.servers import servers
from tests.support.waiting import eventually, threads_named


def test_the_first_key_is_shown_once(tmp_path: Path) -> None:
    """A server whose database has no key makes one that may do everything; the next one says nothing of it."""
    file = tmp_path / "plane.db"
    with servers(1, file) as (first,):
        key = re.findall(r"hb_\S+", "".join(first.said))
    with closing(Database(url_of(file))) as database:
        found = KeyRing(database).find(key[0])
    assert found is not None
    assert ("admin", "default", 1) == (found.role, found.tenant, len(key))
    with servers(1, file) as (second,):
        assert "hb_" not in "".join(second.said)
        assert 1 == len(second.said)


def test_connections_are_kept(tmp_path: Path) -> None:
    """Many requests go over one connection, refused ones too."""
    statuses = []
    with servers(1, tmp_path / "plane.db") as (served,):
        connection = http.client.HTTPConnection(urlsplit(served.url).netloc, timeout=30)
        for path in ("/healthz", "/nowhere", "/v1/runs", "/readyz"):
            connection.request("GET", path)
            socket = connection.sock
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
            assert socket is connection.sock
        connection.close()
    assert [200, 404, 401, 200] == statuses


def test_the_environment_names_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind gunicorn, where nobody can pass an argument, HANDLEBAR_DATABASE does; making the app opens nothing."""
    monkeypatch.setenv("HANDLEBAR_DATABASE", url_of(tmp_path / "named.db"))
    app = create_app()
    assert not (tmp_path / "named.db").exists()
    with closing(app.extensions["handlebar"]):
        assert 200 == app.test_client().get("/readyz").status_code
    assert (tmp_path / "named.db").exists()


def test_what_cannot_work_is_said_before_it_serves() -> None:
    """A database that is none, and policies that are none, are told when the app is made."""
    with pytest.raises(ConfigError):
        create_app("nonsense")
    with pytest.raises(PolicyError):
        create_app("sqlite://", policies=[{"rules": 1}])


def test_a_link_to_the_dashboard(tmp_path: Path) -> None:
    """`--open` prints one, which logs in once; SIGTERM ends the server as Ctrl-C does."""
    command = [sys.executable, "-m", "handlebar.cli", "serve", "--open", "--port", "0"]
    command += ["--database", f"sqlite:///{tmp_path / 'plane.db'}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        link = next(line.split()[-1] for line in process.stdout if "/dashboard/link/" in line)
        next(line for line in process.stdout if "listens" in line)
        with requests.Session() as browser:
            assert "Waiting for a person" in browser.post(link, timeout=30).text
            assert 401 == browser.post(link, timeout=30).status_code
        process.terminate()
        assert 0 == process.wait(30)


@pytest.mark.parametrize(
    ("database", "has_one"), [("sqlite://", True), ("postgresql+psycopg://nobody@localhost/none", False)]
)
def test_who_gives_requests_to_threads(database: str, has_one: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """On SQLite it is our own; of a server that cannot start nothing stays behind."""
    if not has_one:
        pytest.importorskip("psycopg")
    given: list[object] = []
    usual = sys.getswitchinterval()

    def taken(app: object, *, _dispatcher: object, **more: object) -> None:
        given.append(_dispatcher)
        assert has_one == (sys.getswitchinterval() < usual)
        raise OSError("the port is taken")

    monkeypatch.setattr("waitress.server.create_server", taken)
    with pytest.raises(OSError, match="taken"):
        serve(database)
    assert [has_one] == [isinstance(each, TaskDispatcher) for each in given]
    assert usual == sys.getswitchinterval()
    assert eventually(lambda: not threads_named("handlebar-server-"))
