"""One request of somebody who may make it, as the endpoints see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import frozen
from flask import Request, Response

from handlebar.control.keys import Role
from handlebar.control.service import EmbeddedControlPlane
from handlebar.server import bodies
from handlebar.server.fields import Fields
from handlebar.server.metering import Metering
from handlebar.server.problems import malformed
from handlebar.server.tenants import Tenants

_MOST_LISTED = 1000


@frozen(kw_only=True)
class Asked:
    """
    A request whose key is good.

    Attributes:
        tenant: Whose the key is.

        names: What stands in the path, by name.
    """

    request: Request
    tenant: str
    tenants: Tenants
    metering: Metering
    names: Mapping[str, str]

    @property
    def plane(self) -> EmbeddedControlPlane:
        """The control plane of the one who asks."""
        return self.tenants.plane(self.tenant)

    @property
    def agent_slug(self) -> str:
        """The slug of the agent in the path, which stands there by its slug or its id."""
        return self.tenants.slug_of(self.tenant, self.names["agent"])

    def body(self, *, most_bytes: int = bodies.SMALL) -> Fields:
        """Return the body; raises `ProblemError` where it is no JSON object."""
        return bodies.read_body(self.request, most_bytes=most_bytes)

    def optional_body(self) -> Fields:
        """Return the body, an empty object where there is none."""
        return bodies.read_optional_body(self.request, most_bytes=bodies.SMALL)

    def limit(self) -> int:
        """Return how many entries are asked for at most; raises `ProblemError` where that is no such number."""
        text = self.request.args.get("limit", "100")
        if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= _MOST_LISTED):
            raise malformed("limit", f"a whole number from 1 to {_MOST_LISTED}")
        return int(text)


Endpoint = Callable[[Asked], str | Response]
"""Does what is asked, and returns the answer: as JSON text, or whole where there is more to it."""


@frozen
class Route:
    """
    A way in.

    Attributes:
        rule: The path, with what varies in angle brackets.

        role: The lowest that may take it.
    """

    method: str
    rule: str
    role: Role
    endpoint: Endpoint
