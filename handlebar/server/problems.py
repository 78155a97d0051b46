"""What is wrong with a request, and how that is answered: always as JSON, never with a trace."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from handlebar._plumbing.logs import warn_once_a_minute
from handlebar.errors import ConfigError, PolicyError, RefusedError, UnreachableError

_CODES = {
    400: "malformed",
    401: "unauthorised",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    412: "precondition_failed",
    413: "too_large",
    415: "not_json",
    422: "invalid_policy",
    500: "internal",
    503: "unavailable",
}


class ProblemError(Exception):
    """
    A request that is not answered as it wished.

    Attributes:
        status: The HTTP status.

        field: The member of the body that is wrong, dotted where it is nested; or the header or parameter.

        headers: What goes with the answer.
    """

    def __init__(
        self, status: int, message: str, *, field: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.field = field
        self.headers = headers or {}


def malformed(field: str, expected: str) -> ProblemError:
    """Return the problem that *field* is not as *expected*; what it is instead is not repeated."""
    return ProblemError(400, f"{field}: expected {expected}", field=field)


def answer_problems(app: Flask) -> None:
    """Let *app* answer every error as JSON."""
    for kind, answer in _ANSWERS.items():
        app.register_error_handler(kind, answer)


def answer_to(error: Exception) -> Response:
    """Return the answer where *error* has come of a request, as an app gives it."""
    answer = next(_ANSWERS[kind] for kind in type(error).__mro__ if kind in _ANSWERS)
    return answer(error)


def _answer(problem: ProblemError) -> Response:
    error = {"code": _CODES.get(problem.status, "error"), "message": problem.message}
    if problem.field is not None:
        error["field"] = problem.field
    body = json.dumps({"error": error})
    return Response(body, problem.status, mimetype="application/json", headers=dict(problem.headers))


def _unreachable(error: UnreachableError) -> Response:
    warn_once_a_minute("server database", "The database could not be used for a request: %s", error.reason)
    return _answer(ProblemError(503, "The database cannot be used now; try again", headers={"retry-after": "1"}))


def _of_framework(error: HTTPException) -> Response:
    """Answer what the web framework refuses: no such path, a method that a path has not, too large a body."""
    headers = {name: value for name, value in error.get_headers() if name.lower() == "allow"}
    return _answer(ProblemError(error.code or 500, error.name, headers=headers))


def _unexpected(error: Exception) -> Response:
    # The places only: what an exception says may be what somebody sent.
    places = "".join(traceback.format_tb(error.__traceback__))
    kind = type(error).__name__
    warn_once_a_minute(f"server failure {kind}", "A request failed unexpectedly: %s\n%s", kind, places)
    return _answer(ProblemError(500, "The server failed; what it was is in its log"))


_ANSWERS: Mapping[type[Exception], Callable[[Any], Response]] = {
    ProblemError: _answer,
    RefusedError: lambda error: _answer(ProblemError(error.status, str(error))),
    ConfigError: lambda error: _answer(ProblemError(400, str(error), field=error.field)),
    PolicyError: lambda error: _answer(ProblemError(422, str(error), field=error.field)),
    UnreachableError: _unreachable,
    HTTPException: _of_framework,
    Exception: _unexpected,
}
