"""The WSGI app."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from importlib import resources
from typing import Any

from flask import Flask, Response, redirect, request, url_for
from werkzeug.routing import BaseConverter

from handlebar.control.database import Database
from handlebar.control.handoffs.api import HandoffApi
from handlebar.control.handoffs.delivering import Deliverer
from handlebar.control.handoffs.housekeeping import keep_house
from handlebar.control.handoffs.targets import usual_targets
from handlebar.control.keys import KeyRing
from handlebar.control.policies import read_sources
from handlebar.server import for_agents, for_people, for_policies, for_status
from handlebar.server.access import Access
from handlebar.server.answering import JSON, Answering, for_the_one_who_asked
from handlebar.server.asking import Route
from handlebar.server.dashboard import create_dashboard
from handlebar.server.handoff_routes import add_handoffs
from handlebar.server.handoff_streams import add_streams
from handlebar.server.metering import Metering
from handlebar.server.problems import answer_problems
from handlebar.server.shortcut import Shortcut
from handlebar.server.tenants import Tenants

ROUTES = (*for_agents.ROUTES, *for_people.ROUTES, *for_policies.ROUTES, *for_status.ROUTES)
"""Every way in that needs a key."""

_DATABASE = "sqlite:///handlebar.db"


class _Name(BaseConverter):
    """A name in a path; it may hold slashes, which arrive here decoded."""

    regex = "(?s:.+)"
    part_isolating = False


def create_app(database: str | None = None, *, policies: Any = None) -> Flask:
    """
    Return the control plane as a WSGI app, e.g. for gunicorn: `handlebar.server:create_app()`.

    Opens nothing yet, so that it may be made before a server forks. `app.extensions["handlebar"].close()` closes
    what this process has opened.

    Decisions and events are answered past Flask's routing, unless hooks are added to the app; its signals, and error
    handlers that are added, do not see them.

    Webhooks may be in the public internet, and in the networks that `HANDLEBAR_WEBHOOK_ALLOW` lists with commas
    between; their secrets are sealed with `HANDLEBAR_SECRETS_KEY`, where that is set. They are told by a thread,
    which starts with the first request to a process.

    Args:
        database: The URL of the database, SQLite or PostgreSQL; None for `HANDLEBAR_DATABASE`, and
            `sqlite:///handlebar.db` without it.

        policies: A file, a folder, or a list of files and policies, to be in force for the tenant `default`.

    Raises:
        ConfigError: *database* is no such URL, or `HANDLEBAR_WEBHOOK_ALLOW` lists what is no network.

        PolicyError: A policy cannot be loaded.
    """
    opened = Database(database or os.environ.get("HANDLEBAR_DATABASE") or _DATABASE)
    deliverer = Deliverer(opened, usual_targets(), chore=partial(keep_house, opened))
    tenants = Tenants(opened, read_sources(policies, owner="the server"), deliverer)
    app = _bare_app()
    app.extensions["handlebar"] = tenants
    metering = Metering()
    metering.watch(app)
    answer_problems(app)
    _add_open_routes(app, tenants, metering)
    access = Access(KeyRing(opened))
    answering = Answering(access, tenants, metering)
    for route in ROUTES:
        _add(app, route.method, route.rule, _view(route, answering))
    add_handoffs(app, HandoffApi(opened, on_change=deliverer.wake), access, tenants.check)
    add_streams(app, opened, access)
    app.register_blueprint(create_dashboard(opened, tenants=tenants), url_prefix="/dashboard")
    app.add_url_rule("/", "home", lambda: redirect(url_for("handlebar_dashboard.overview")), methods=["GET"])
    # Not now: this process may still fork.
    app.before_request(tenants.start)
    app.after_request(for_the_one_who_asked)
    app.wsgi_app = Shortcut(app, answering)  # type: ignore[method-assign]  # as Flask has it done
    return app


def _bare_app() -> Flask:
    app = Flask(__name__, static_folder=None)
    app.url_map.converters["name"] = _Name
    # Otherwise a path with two slashes is answered by a redirection, in HTML.
    app.url_map.merge_slashes = False
    return app


def _add_open_routes(app: Flask, tenants: Tenants, metering: Metering) -> None:
    """Add what needs no key."""
    contract = resources.files("handlebar.server").joinpath("openapi.json").read_bytes()
    well = b'{"status":"ok"}'

    def ready() -> Response:
        tenants.check()
        return Response(well, mimetype=JSON)

    _add(app, "GET", "/healthz", lambda: Response(well, mimetype=JSON))
    _add(app, "GET", "/readyz", ready)
    _add(app, "GET", "/metrics", metering.text)
    _add(app, "GET", "/openapi.json", lambda: Response(contract, mimetype=JSON))


def _add(app: Flask, method: str, rule: str, view: Callable[..., Response]) -> None:
    app.add_url_rule(rule, f"{method} {rule}", view, methods=[method], provide_automatic_options=False)


def _view(route: Route, answering: Answering) -> Callable[..., Response]:
    """Return what Flask calls for *route*."""
    return lambda **names: answering.answer(route, request, names)
