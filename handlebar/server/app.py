"""The WSGI app."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import resources
from typing import Any

from flask import Flask, Response, request
from werkzeug.routing import BaseConverter

from handlebar.control.database import Database
from handlebar.control.keys import KeyRing
from handlebar.control.policies import read_sources
from handlebar.server import for_agents, for_people
from handlebar.server.access import Access
from handlebar.server.asking import Asked, Route
from handlebar.server.metering import Metering
from handlebar.server.problems import answer_problems
from handlebar.server.tenants import Tenants

ROUTES = (*for_agents.ROUTES, *for_people.ROUTES)
"""Every way in that needs a key."""

_JSON = "application/json"
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

    Args:
        database: The URL of the database; None for `HANDLEBAR_DATABASE`, and `sqlite:///handlebar.db` without it.

        policies: A file, a folder, or a list of files and policies, to be in force for the tenant `default`.

    Raises:
        ConfigError: *database* is no such URL.

        PolicyError: A policy cannot be loaded.
    """
    opened = Database(database or os.environ.get("HANDLEBAR_DATABASE") or _DATABASE)
    tenants = Tenants(opened, read_sources(policies, owner="the server"))
    app = _bare_app()
    app.extensions["handlebar"] = tenants
    metering = Metering()
    metering.watch(app)
    answer_problems(app)
    _add_open_routes(app, tenants, metering)
    access = Access(KeyRing(opened))
    for route in ROUTES:
        _add(app, route.method, route.rule, _view(route, access, tenants, metering))
    app.after_request(_for_the_one_who_asked)
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
        return Response(well, mimetype=_JSON)

    _add(app, "GET", "/healthz", lambda: Response(well, mimetype=_JSON))
    _add(app, "GET", "/readyz", ready)
    _add(app, "GET", "/metrics", metering.text)
    _add(app, "GET", "/openapi.json", lambda: Response(contract, mimetype=_JSON))


def _add(app: Flask, method: str, rule: str, view: Callable[..., Response]) -> None:
    app.add_url_rule(rule, f"{method} {rule}", view, methods=[method], provide_automatic_options=False)


def _view(route: Route, access: Access, tenants: Tenants, metering: Metering) -> Callable[..., Response]:
    """Return what Flask calls for *route*."""

    def view(**names: str) -> Response:
        tenant = access.tenant_of(request, route.role)
        asked = Asked(request=request, tenant=tenant, tenants=tenants, metering=metering, names=names)
        return Response(route.endpoint(asked), mimetype=_JSON)

    return view


def _for_the_one_who_asked(response: Response) -> Response:
    """Let nobody keep an answer, or take it for anything but what it is said to be."""
    response.headers["cache-control"] = "no-store"
    response.headers["x-content-type-options"] = "nosniff"
    return response
