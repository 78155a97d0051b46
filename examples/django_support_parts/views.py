"""The views: each opens a run, which knows from its request who is logged in and which conversation it is."""

from __future__ import annotations

from collections.abc import Iterator

from asgiref.sync import sync_to_async
from django.contrib.auth import authenticate, login
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse

import handlebar
from django_support_parts import agent, tools
from handlebar.integrations.django import get_client


def conversation(request: HttpRequest) -> str | None:
    """Tell which conversation a request belongs to; Django's session key is a credential, and stays here."""
    told: str | None = request.headers.get("X-Conversation-Id")
    return told


def log_in(request: HttpRequest) -> HttpResponse:
    """Log a customer in."""
    user = authenticate(username=request.POST["username"], password=request.POST["password"])
    if user is None:
        return JsonResponse({"error": "Who are you?"}, status=401)
    login(request, user)
    return JsonResponse({"welcome": user.get_username()})


async def order(request: HttpRequest, order: str) -> HttpResponse:
    """Look an order up, in an async view."""
    async with get_client().run():
        return JsonResponse(await sync_to_async(tools.look_up_order)(order))


def refund(request: HttpRequest, order: str) -> HttpResponse:
    """Let the agent refund an order; where a person has to be asked, remember how to go on."""
    try:
        with get_client().run():
            return JsonResponse({"steps": list(agent.refund(order))})
    except handlebar.ApprovalPendingError as pending:
        request.session[pending.approval_id] = [order, pending.resume_token]
        raise


def go_on(request: HttpRequest, approval: str) -> HttpResponse:
    """Go on with a run that waits for a person."""
    if approval not in request.session:
        return JsonResponse({"error": "You wait for no such answer"}, status=404)
    order, token = request.session[approval]
    with get_client().resume_run(token):
        steps = list(agent.refund(order))
    del request.session[approval]
    return JsonResponse({"steps": steps})


def stream(request: HttpRequest, order: str) -> StreamingHttpResponse:
    """Let the agent refund an order, and tell each step while it goes; the run lasts as long as the stream."""

    def steps() -> Iterator[str]:
        with get_client().run():
            for step in agent.refund(order):
                yield f"{step}\n"

    return StreamingHttpResponse(steps(), content_type="text/plain")
