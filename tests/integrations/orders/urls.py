"""The shop's URLs and views. An order is a row of the table that every project of Django has."""

from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import path

from handlebar.integrations.django import get_client
from tests.integrations.orders.app import settle


def customer(request: HttpRequest) -> str:
    """Tell whom a request acts for."""
    return request.GET["customer"]


def health(request: HttpRequest) -> HttpResponse:
    """Answer."""
    return HttpResponse("ok")


def order(request: HttpRequest, name: str) -> HttpResponse:
    """Take an order, and leave the rest to a task; with `fail`, think better of it."""
    try:
        with get_client().run(f"web-{name}", session_id=f"session-{name}"), transaction.atomic():
            User.objects.create(username=name)
            settle.delay_on_commit(name)
            if "fail" in request.GET:
                raise ValueError("out of stock")
    except ValueError:
        return HttpResponse(status=409)
    return HttpResponse(status=202)


urlpatterns = [path("health", health), path("order/<name>", order)]
