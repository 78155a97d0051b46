"""How one route answers one request, whatever has found the route."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen
from flask import Request, Response

from handlebar.server.access import Access
from handlebar.server.asking import Asked, Route
from handlebar.server.metering import Metering
from handlebar.server.tenants import Tenants

JSON = "application/json"


@frozen
class Answering:
    """Lets routes answer whoever may ask; lives as long as the app, thread-safe."""

    access: Access
    tenants: Tenants
    metering: Metering

    def answer(self, route: Route, request: Request, names: Mapping[str, str]) -> Response:
        """
        Return the answer of *route* to *request*, in whose path *names* stand.

        Raises:
            Exception: There is none; `problems` says how that is answered.
        """
        tenant = self.access.tenant_of(request, route.role)
        asked = Asked(request=request, tenant=tenant, tenants=self.tenants, metering=self.metering, names=names)
        answer = route.endpoint(asked)
        return answer if isinstance(answer, Response) else Response(answer, mimetype=JSON)


def for_the_one_who_asked(response: Response) -> Response:
    """Let nobody keep an answer, or take it for anything but what it is said to be."""
    response.headers.setdefault("cache-control", "no-store")
    response.headers["x-content-type-options"] = "nosniff"
    return response
