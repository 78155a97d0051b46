"""The dashboard in other people's apps: under another path and name, with nothing of ours around it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from attrs import frozen
from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client, TestResponse

from handlebar.control.database import Database
from handlebar.control.keys import KeyRing
from handlebar.control.service import open_control_plane
from handlebar.core.schema.agents import AgentDescriptor
from handlebar.server.dashboard import create_dashboard
from tests.support.control import url_of
from tests.support.django_settings import the_project_is_set_up

PATHS = ("/", "/?days=7", "/runs", "/inbox", "/policies", "/edit-policy", "/agents", "/handoffs", "/keys")
_LINK = re.compile(r'(?:href|src|srcset)="([^"]+)"')
_FORM = re.compile(r'(?:action|formaction)="([^"]+)"')


@frozen
class Visitor:
    """Somebody with a browser, where the dashboard begins at *prefix*."""

    client: Client
    prefix: str

    def looks(self, path: str) -> TestResponse:
        """Look at one of its pages."""
        return self.client.get(f"{self.prefix}{path}")


@pytest.fixture(name="url")
def _url(tmp_path: Path) -> str:
    """A database with an agent in it."""
    url = url_of(tmp_path / "plane.db")
    plane = open_control_plane(url)
    plane.register_agent(AgentDescriptor("desk"), [], budget=10)
    plane.close()
    return url


def foreign(url: str, *, prefix: str, name: str | None = None) -> Flask:
    """Return an app of somebody else that has mounted the dashboard."""
    app = Flask("theirs")
    app.secret_key = "their own"
    app.add_url_rule("/", "home", lambda: "their page")
    app.register_blueprint(create_dashboard(url), url_prefix=prefix, **({"name": name} if name else {}))
    return app


def goes_everywhere(visitor: Visitor, url: str) -> None:
    """Log in, and look at all pages and at all that they link to: nothing leads out of the dashboard."""
    database = Database(url)
    secret = KeyRing(database).create("boss", role="admin", tenant="default").secret
    database.close()
    asked = visitor.looks("/runs?agent=desk")
    assert asked.location.startswith(f"{visitor.prefix}/log-in")
    page = visitor.client.get(asked.location).text
    (next_,) = re.findall(r'name="next" value="([^"]+)"', page)
    answer = visitor.client.post(f"{visitor.prefix}/log-in", data={"key": secret, "next": next_})
    assert f"{visitor.prefix}/runs?agent=desk" == answer.location
    for path in PATHS:
        answer = visitor.looks(path)
        assert 200 == answer.status_code, answer.text
        links = set(_LINK.findall(answer.text)) - {"data:,", "#content"}
        leading = links.union(_FORM.findall(answer.text))
        assert [] == [link for link in leading if not link.startswith(f"{visitor.prefix}/")]
        for link in links:
            assert 200 == visitor.client.get(link.replace("&amp;", "&")).status_code, link


@pytest.mark.parametrize("name", [None, "agents"])
def test_in_a_flask_app(url: str, name: str | None) -> None:
    """Under its own path and name; the app's other pages are as they were."""
    app = foreign(url, prefix="/staff/agents", name=name)
    client = app.test_client()
    goes_everywhere(Visitor(client, "/staff/agents"), url)
    home = client.get("/")
    assert ("their page", None) == (home.text, home.headers.get("content-security-policy"))


def test_in_a_django_project(url: str) -> None:
    """Beside the project's own pages, in its WSGI module."""
    pytest.importorskip("django", reason="Django is not installed")
    the_project_is_set_up()
    from django.core.wsgi import get_wsgi_application

    application = DispatcherMiddleware(get_wsgi_application(), {"/agents": foreign(url, prefix="/dashboard")})
    client = Client(application)
    goes_everywhere(Visitor(client, "/agents/dashboard"), url)
    assert (404, "their page") == (client.get("/nowhere").status_code, client.get("/agents/").text)
