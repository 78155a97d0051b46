"""The way past the framework for the two things that agents ask all the time: a decision, and to record events."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from flask import Flask, Request, Response

from handlebar._plumbing.clock import monotonic
from handlebar.server.answering import Answering, for_the_one_who_asked
from handlebar.server.asking import Route
from handlebar.server.for_agents import EVALUATE, RECORD
from handlebar.server.problems import answer_to

# A run's name with other letters than these is nothing that the framework could not read better.
_EVALUATE = re.compile(r"/v1/runs/(?P<run>[A-Za-z0-9._:~-]+)/evaluate")


class Shortcut:
    """
    Answers those two as *app* does, byte for byte; everything else it leaves to it.

    The framework's routing, contexts and signals take longer than such an answer does.

    An app to which somebody has added hooks gets every request, because they may be there to refuse some. Lives as
    long as the app, thread-safe and fork-safe.
    """

    def __init__(self, app: Flask, answering: Answering) -> None:
        self._app = app
        self._rest = app.wsgi_app
        self._answering = answering
        self._hooks = _number_of_hooks(app)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer, as WSGI has it."""
        found = _found(environ.get("PATH_INFO", "")) if environ["REQUEST_METHOD"] == "POST" else None
        if found is None or _number_of_hooks(self._app) != self._hooks:
            return self._rest(environ, start_response)
        response = self._response(*found, self._app.request_class(environ))
        return response(environ, start_response)

    def _response(self, route: Route, names: Mapping[str, str], request: Request) -> Response:
        """Do what the app does around its views."""
        began = monotonic()
        try:
            self._answering.tenants.start()
            response = self._answering.answer(route, request, names)
        except Exception as error:  # of any kind there is an answer
            response = answer_to(error)
        self._answering.metering.answered(route.method, route.rule, response, began)
        return for_the_one_who_asked(response)


def _found(path: str) -> tuple[Route, Mapping[str, str]] | None:
    if path == RECORD.rule:
        return RECORD, {}
    named = _EVALUATE.fullmatch(path)
    return None if named is None else (EVALUATE, named.groupdict())


def _number_of_hooks(app: Flask) -> int:
    every = (app.before_request_funcs, app.after_request_funcs, app.teardown_request_funcs)
    return sum(len(hooks) for kind in every for hooks in kind.values())
