"""The middleware: one class, for both kinds of handlers."""

from __future__ import annotations

import sys
from asyncio import to_thread
from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.urls import Resolver404, resolve

from handlebar._plumbing.identifiers import uuid7
from handlebar.core import current
from handlebar.core.config import RunConfig
from handlebar.core.request_scope import RequestScope, Sources
from handlebar.integrations.django.configuration import Configuration, configuration
from handlebar.integrations.django.loaders import loader_of, logged_in_user
from handlebar.integrations.django.streaming import govern_stream
from handlebar.integrations.serving.answers import answer_to
from handlebar.integrations.serving.identity import identity_from
from handlebar.integrations.serving.visits import Visit, open_run

_KEY = "_handlebar_visit"


class HandlebarMiddleware:
    """
    Opens a scope for each request, in which runs find whom they act for, and ends what was left open.

    Stands below AuthenticationMiddleware. A request without agent code costs no look-up and no query.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        """Serve *request*; returns an awaitable where the handler is asynchronous."""
        config = configuration()
        if request.path.startswith(config.excluded):
            return self._get_response(request)
        visit = _visit(request, config)
        setattr(request, _KEY, visit)
        wants_run = config.settings.run_per_request and config.settings.wants_run(_view_name(request))
        serve = self._serve_async if self._is_async else self._serve
        return serve(request, visit, config, bool(wants_run))

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        """Answer refusals as JSON, where HANDLEBAR asks for that."""
        answer = answer_to(exception) if configuration().settings.error_responses else None
        return answer and JsonResponse(answer.body, status=answer.status, headers=answer.headers)

    def _serve(self, request: HttpRequest, visit: Visit, config: Configuration, wants_run: bool) -> HttpResponseBase:
        try:
            with visit.place:
                if wants_run:
                    open_run(config.client)
                response = self._get_response(request)
        except BaseException as error:  # Django answers for what views raise: only the process's end comes here
            visit.error = error
            visit.end()
            raise
        if not govern_stream(response, visit):
            visit.end(response.status_code)
        return response

    async def _serve_async(
        self, request: HttpRequest, visit: Visit, config: Configuration, wants_run: bool
    ) -> HttpResponseBase:
        try:
            with visit.place:
                if wants_run:
                    current.push(await config.client.start_run(RunConfig(uuid7())))
                response = await self._get_response(request)
        except BaseException as error:  # the client has left
            visit.error = error
            await to_thread(visit.end)
            raise
        if not govern_stream(response, visit):
            await _end(visit, response.status_code)
        return response


def note_error(*, request: HttpRequest | None = None, **more: Any) -> None:
    """A view, or a middleware below ours, has failed, and nobody but an error page handles it."""
    visit = getattr(request, _KEY, None)
    if visit is not None:
        visit.error = sys.exc_info()[1]


async def _end(visit: Visit, http_status: int) -> None:
    """End what is open, off the loop; closing a scope with nothing in it waits for nobody."""
    if visit.scope.has_open_runs:
        await to_thread(visit.end, http_status)
    else:
        visit.end(http_status)


def _visit(request: HttpRequest, config: Configuration) -> Visit:
    find_actor = config.find_actor
    sources = Sources(
        actor=logged_in_user(request) if find_actor is None else loader_of(find_actor, request),
        session=loader_of(config.find_session, request),
        tags=lambda: _tags(request),
        identity=lambda: identity_from(request.headers.get),
    )
    return Visit(RequestScope(sources, client=config.own_client))


def _tags(request: HttpRequest) -> dict[str, str]:
    match = request.resolver_match
    return {"http.method": request.method or "", **({"http.route": match.route} if match else {})}


def _view_name(request: HttpRequest) -> str | None:
    try:
        name: str = resolve(request.path_info).view_name
        return name
    except Resolver404:
        return None
