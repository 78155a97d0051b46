"""From Flask's callbacks to visits: when a request begins, is answered, and is over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define
from flask import Flask, Request, Response, g, got_request_exception, request

from handlebar.integrations.serving.visits import GovernedChunks, Visit

_KEY = "_handlebar_visit"


@define(eq=False)
class _Bound:
    """
    A visit, as it is kept on `g`.

    Attributes:
        request: Whose visit it is: an application context that is shared by nested requests has one `g`.

        outer: What was on `g` before.
    """

    request: Request
    visit: Visit
    outer: _Bound | None
    http_status: int = 200


class Visiting:
    """Lives as long as its app; opens a visit when a request begins, and ends it once, however Flask ends."""

    def __init__(self, new_visit: Callable[[], Visit], begin: Callable[[], None]) -> None:
        self._new_visit = new_visit
        self._begin = begin

    def register(self, app: Flask) -> None:
        """Register the callbacks; ours come first and leave last, because others' may run agents."""
        app.before_request_funcs.setdefault(None, []).insert(0, self.open)
        app.after_request(self.answered)
        app.teardown_request(self.leave)
        # A weak reference, and the app keeps this object: whoever drops an app drops this too.
        got_request_exception.connect(self.note, sender=app)

    def open(self) -> None:
        """The request begins."""
        bound = _Bound(_this_request(), self._new_visit(), g.get(_KEY))
        setattr(g, _KEY, bound)
        bound.visit.place.__enter__()
        self._begin()

    def note(self, sender: Flask, exception: BaseException, **more: Any) -> None:
        """A view has failed, and nobody but an error page handles it."""
        bound = _mine()
        if bound is not None:
            bound.visit.error = exception

    def answered(self, response: Response) -> Response:
        """The response is made; where it has yet to be streamed, the visit lasts as long as that."""
        bound = _mine()
        if bound is None:
            return response
        bound.http_status = response.status_code
        # Files that the server sends by itself run no code of the application's.
        if response.is_streamed and not response.direct_passthrough:
            chunks = GovernedChunks(response.response, bound.visit, http_status=response.status_code)
            response.response = chunks
            response.call_on_close(chunks.close)
            bound.visit.is_streamed = True
        return response

    def leave(self, error: BaseException | None = None) -> None:
        """The request is over; Flask may say so twice, or of a request that never began."""
        bound = _mine()
        if bound is None:
            return
        setattr(g, _KEY, bound.outer)
        visit = bound.visit
        visit.error = visit.error or error
        try:
            if not visit.is_streamed:
                visit.end(bound.http_status)
        finally:
            visit.place.__exit__()


def _this_request() -> Request:
    return request._get_current_object()  # type: ignore[attr-defined,no-any-return]  # the proxy's own way to it


def _mine() -> _Bound | None:
    """Return the visit of this very request: a copy of its context in another thread has a `g` of its own."""
    bound: _Bound | None = g.get(_KEY)
    return bound if bound is not None and bound.request is _this_request() else None
