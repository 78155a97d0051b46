"""The hand-off API, whoever carries it: over HTTP or inside a process, a call comes in and an answer goes out."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from typing import Any

from handlebar._plumbing import safe_json
from handlebar._plumbing.clock import Deadline
from handlebar._plumbing.interrupts import is_interrupt
from handlebar._plumbing.logs import warn_once_a_minute
from handlebar.control.database import Database
from handlebar.control.handoffs import (
    audit_log,
    batches,
    found_packets,
    keys,
    listing,
    packets,
    schemas,
    tenants,
    webhooks,
)
from handlebar.control.handoffs.asking import Asked, Route
from handlebar.control.handoffs.problems import ProblemError
from handlebar.control.keys import KeyRecord
from handlebar.errors import ConfigError, RefusedError, UnreachableError
from handlebar.handoff.exchange import RECOGNISES_KEYS, Answer, Call

ROUTES: tuple[Route, ...] = (
    *listing.ROUTES,
    *found_packets.ROUTES,
    *batches.ROUTES,
    *packets.ROUTES,
    *webhooks.ROUTES,
    *schemas.ROUTES,
    *keys.ROUTES,
    *tenants.ROUTES,
    *audit_log.ROUTES,
)
"""Every way in; where two patterns fit a path, the first counts."""

SECONDS = 10.0
"""How long one call may wait for the database."""

HEADERS = {"content-type": "application/json", RECOGNISES_KEYS: "1"}
"""With every answer; the second says that a call with an `idempotency-key` may be repeated."""

# A viewer reads; what an SDK needs, an agent's key may do.
_RANKS = {"reader": 0, "viewer": 0, "agent": 1, "writer": 2, "admin": 3}


class HandoffApi:
    """
    Answers calls on a database; lives as long as whoever carries them, thread-safe and fork-safe.

    Args:
        database: Where everything is.

        on_change: Called after each call that may have changed something, e.g. to look what is to be delivered.
    """

    def __init__(self, database: Database, *, on_change: Callable[[], None] = lambda: None) -> None:
        self._database = database
        self._on_change = on_change

    def answer(self, call: Call, key: KeyRecord, *, deadline: Deadline | None = None) -> Answer:
        """Do what *call* asks on behalf of *key*, whose secret was checked; never raises an Exception."""
        try:
            route, names = _route(call)
            _check_role(route, key)
            limit = deadline or Deadline.after(SECONDS)
            reply = route.answer(Asked(call=call, key=key, names=names, database=self._database, deadline=limit))
            if call.method != "GET":
                self._on_change()
        except Exception as error:  # whatever it is: the other side needs an answer
            if is_interrupt(error):
                raise
            return _refusal(error)
        return _answer(reply.status, reply.body)


def refusal(status: int, detail: str) -> Answer:
    """Return the answer that says what is wrong, in the one shape for that."""
    return _answer(status, {"detail": detail})


def _route(call: Call) -> tuple[Route, Mapping[str, str]]:
    found = [(route, names) for route in ROUTES if (names := route.names_in(call.path)) is not None]
    if not found:
        raise ProblemError(404, "Not Found")
    for route, names in found:
        if route.method == call.method:
            return route, names
    raise ProblemError(405, "Method Not Allowed")


def _check_role(route: Route, key: KeyRecord) -> None:
    if _RANKS.get(key.role, -1) < _RANKS[route.role]:
        raise ProblemError(403, f"This needs a key of the role {route.role!r}; yours is {key.role!r}")


def _answer(status: int, body: Any) -> Answer:
    return Answer(status, HEADERS, b"" if body is None else safe_json.encode(body).encode())


def _refusal(error: Exception) -> Answer:
    if isinstance(error, ProblemError):
        return _answer(error.status, error.body)
    if isinstance(error, RefusedError):
        return refusal(error.status, str(error))
    if isinstance(error, ConfigError):
        return refusal(422, str(error))
    if isinstance(error, UnreachableError):
        warn_once_a_minute("handoffs database", "The database could not be used for a hand-off: %s", error.reason)
        return refusal(503, "The database cannot be used now; try again")
    return _unexpected(error)


def _unexpected(error: Exception) -> Answer:
    # The places only: what an exception says may be what somebody sent.
    places = "".join(traceback.format_tb(error.__traceback__))
    kind = type(error).__name__
    warn_once_a_minute(f"handoffs failure {kind}", "A hand-off failed unexpectedly: %s\n%s", kind, places)
    return refusal(500, "The server failed; what it was is in its log")
