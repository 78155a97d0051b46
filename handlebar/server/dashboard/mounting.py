"""The dashboard as a blueprint, for our own server and for other people's apps."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import Any

from flask import Blueprint, Response

from handlebar.control.browser_access import BrowserAccess
from handlebar.control.database import Database
from handlebar.control.handoffs.api import HandoffApi
from handlebar.control.handoffs.delivering import Deliverer
from handlebar.control.handoffs.targets import usual_targets
from handlebar.control.keys import KeyRing
from handlebar.control.policies import NOTHING_CONFIGURED
from handlebar.errors import UnreachableError
from handlebar.server.dashboard import agents, handoffs, inbox, keys, overview, policies, promoting, run, runs, webhooks
from handlebar.server.dashboard.logging_in import LoggingIn
from handlebar.server.dashboard.pages import POLICY, House, add_pages
from handlebar.server.dashboard.sessions import Sessions
from handlebar.server.dashboard.words import FILTERS
from handlebar.server.tenants import Tenants

PAGES = (
    *overview.PAGES,
    *runs.PAGES,
    *run.PAGES,
    *inbox.PAGES,
    *promoting.PAGES,
    *policies.PAGES,
    *agents.PAGES,
    *handoffs.PAGES,
    *keys.PAGES,
    *webhooks.PAGES,
)
"""Every page that needs a session."""

_KINDS = {"style.css": "text/css", "live.js": "text/javascript"}


def create_dashboard(database: str | Database, *, tenants: Tenants | None = None) -> Blueprint:
    """
    Return the dashboard, to be registered with a Flask app: `app.register_blueprint(dashboard, url_prefix="/agents")`.

    People log in with a key of the role `viewer` or `admin`. A Django project mounts such an app beside its own, in
    its module `wsgi`: `application = DispatcherMiddleware(application, {"/agents": app})`, from
    `werkzeug.middleware.dispatcher`. Opens nothing yet.

    Args:
        database: The URL of the control plane's database.

        tenants: What an app that serves the control plane already has.

    Raises:
        ConfigError: *database* is no such URL.
    """
    opened = database if isinstance(database, Database) else Database(database)
    planes = tenants or Tenants(opened, NOTHING_CONFIGURED, Deliverer(opened, usual_targets()))
    blueprint = Blueprint("handlebar_dashboard", __name__, template_folder="templates")
    access = BrowserAccess(opened)
    sessions = Sessions(access)
    LoggingIn(access, sessions).add_to(blueprint)
    house = House(tenants=planes, keys=KeyRing(opened), handoffs=HandoffApi(opened, on_change=planes.wake))
    add_pages(blueprint, PAGES, sessions, house)
    blueprint.add_url_rule("/static/<mark>/<name>", "static_file", _static, methods=["GET"])
    blueprint.after_request(_guarded)
    blueprint.register_error_handler(UnreachableError, _unreachable)
    blueprint.app_context_processor(lambda: {"handlebar_marks": _MARKS})
    for name, made in FILTERS.items():
        blueprint.add_app_template_filter(made, f"handlebar_{name}")
    return blueprint


def _contents(name: str) -> bytes:
    return resources.files("handlebar.server.dashboard").joinpath(f"static/{name}").read_bytes()


_FILES = {name: _contents(name) for name in _KINDS}
_MARKS = {name: hashlib.sha256(content).hexdigest()[:12] for name, content in _FILES.items()}
"""By its content, so that a browser may keep each file for ever."""


def _static(mark: str, name: str) -> Response:
    if name not in _FILES:
        return Response("There is no such file", 404, mimetype="text/plain")
    return Response(
        _FILES[name], mimetype=_KINDS[name], headers={"cache-control": "public, max-age=31536000, immutable"}
    )


def _guarded(response: Any) -> Any:
    """Let a browser do with our pages what they are for, and nothing else."""
    response.headers.setdefault("content-security-policy", POLICY)
    response.headers["referrer-policy"] = "same-origin"
    response.headers["x-content-type-options"] = "nosniff"
    response.headers["x-frame-options"] = "DENY"
    response.headers.setdefault("cache-control", "no-store")
    return response


def _unreachable(error: UnreachableError) -> Response:
    return Response("The database cannot be used now. Reload this page in a moment.", 503, mimetype="text/plain")
