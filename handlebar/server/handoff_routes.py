"""The hand-off API over HTTP: a skin that carries calls in and answers out."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from flask import Flask, Response, request

from handlebar.control.handoffs.api import HandoffApi, refusal
from handlebar.control.handoffs.asking import IDEMPOTENCY_KEY
from handlebar.control.handoffs.bodies import MOST_BYTES
from handlebar.errors import UnreachableError
from handlebar.handoff.exchange import Answer, Call
from handlebar.server.access import Access

PREFIX = "/api/v1"

_SERVICE = "handoffrail"
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_PASSED_ON = (IDEMPOTENCY_KEY,)
_NO_KEY = "Send an API key that is valid, as X-API-Key"


def add_handoffs(app: Flask, api: HandoffApi, access: Access, check: Callable[[], None]) -> None:
    """
    Let *app* answer the hand-off API.

    Args:
        app: The app.

        api: What answers.

        access: Tells whose a key is.

        check: Raises UnreachableError where the database cannot be used.
    """

    def view(path: str = "") -> Response:
        if path.endswith("/"):
            return _without_slash(path)
        try:
            key = access.key_of(request)
        except UnreachableError:
            return _response(refusal(503, "The database cannot be used now; try again"))
        return _response(refusal(401, _NO_KEY) if key is None else api.answer(_call(path), key))

    for rule in (PREFIX, f"{PREFIX}/", f"{PREFIX}/<name:path>"):
        app.add_url_rule(rule, rule, view, methods=_METHODS, provide_automatic_options=False)
    app.add_url_rule("/health", "health", lambda: {"status": "ok", "service": _SERVICE}, methods=["GET"])
    app.add_url_rule("/ready", "ready", lambda: _ready(check), methods=["GET"])


def _ready(check: Callable[[], None]) -> tuple[dict[str, object], int]:
    try:
        check()
    except UnreachableError:
        return {"status": "not_ready", "service": _SERVICE, "db": False}, 503
    return {"status": "ready", "service": _SERVICE, "db": True}, 200


def _call(path: str) -> Call:
    return Call(
        method="GET" if request.method == "HEAD" else request.method,
        path=tuple(path.split("/")),
        query=tuple(request.args.items(multi=True)),
        # One byte more than is taken: then it is known that there is more.
        body=request.stream.read(MOST_BYTES + 1) or None,
        headers={name: request.headers[name] for name in _PASSED_ON if name in request.headers},
    )


def _without_slash(path: str) -> Response:
    query = f"?{quote(request.query_string, safe='%&=+')}" if request.query_string else ""
    location = f"{PREFIX}/{quote(path.rstrip('/'), safe='/')}{query}"
    return Response(status=307, headers={"location": location})


def _response(answer: Answer) -> Response:
    return Response(answer.body, answer.status, headers=dict(answer.headers))
