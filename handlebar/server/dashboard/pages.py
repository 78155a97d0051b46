"""How a page is asked for and answered: who may see it, and what every page has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from attrs import frozen
from flask import Blueprint, Request, Response, redirect, render_template, request, url_for

from handlebar.control.handoffs.api import HandoffApi
from handlebar.control.inbox import Inbox
from handlebar.control.keys import KeyRing
from handlebar.control.service import EmbeddedControlPlane
from handlebar.errors import ConfigError, PolicyError, RefusedError
from handlebar.server.dashboard.sessions import Session, Sessions
from handlebar.server.tenants import Tenants

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
"""What a browser lets our pages do: nothing that does not come from here."""


@frozen(kw_only=True)
class House:
    """What pages look into."""

    tenants: Tenants
    keys: KeyRing
    handoffs: HandoffApi


@frozen(kw_only=True)
class Visit:
    """
    A request of somebody who has logged in.

    Attributes:
        names: What stands in the path, by name.
    """

    request: Request
    session: Session
    house: House
    names: Mapping[str, str]

    @property
    def inbox(self) -> Inbox:
        """What waits for the people of the visitor's tenant."""
        return self.house.tenants.inbox(self.session.tenant)

    @property
    def plane(self) -> EmbeddedControlPlane:
        """The control plane of the visitor's tenant."""
        return self.house.tenants.plane(self.session.tenant)

    def argument(self, name: str) -> str | None:
        """Return what the query says of *name*, None where that is nothing."""
        return self.request.args.get(name, "").strip() or None

    def field(self, name: str) -> str:
        """Return what a form says of *name*, empty where that is nothing."""
        return self.request.form.get(name, "").strip()

    def here(self, **changes: str | None) -> str:
        """Return the path of this page with *changes* in its query."""
        query = {**self.request.args.to_dict(), **changes}
        kept = {name: value for name, value in query.items() if value}
        path = self.request.root_path + self.request.path
        return f"{path}?{urlencode(kept)}" if kept else path


View = Callable[[Visit], Any]
"""Returns what Flask takes as an answer."""


@frozen
class Page:
    """
    A way into the dashboard.

    Attributes:
        rule: The path, with what varies in angle brackets.

        changes: Whether it changes something, which needs an admin's key and a form of ours.
    """

    method: str
    rule: str
    name: str
    view: View
    changes: bool = False


def add_pages(blueprint: Blueprint, pages: tuple[Page, ...], sessions: Sessions, house: House) -> None:
    """Let *blueprint* answer *pages*."""
    for page in pages:
        blueprint.add_url_rule(page.rule, page.name, _answering(page, sessions, house), methods=[page.method])


def show(template: str, visit: Visit, **told: Any) -> str:
    """Return the page that *template* makes of *told*."""
    return render_template(f"handlebar/{template}", visit=visit, session=visit.session, **told)


def go_to(name: str, *, said: str | None = None, **names: Any) -> Any:
    """Send the browser to another page of ours, which says *said* first."""
    return redirect(url_for(f".{name}", said=said, **names), 303)


def _answering(page: Page, sessions: Sessions, house: House) -> Callable[..., Any]:
    def answer(**names: str) -> Any:
        session = sessions.of(request)
        if session is None:
            return redirect(url_for(".log_in", next=_local_path(request)), 303)
        visit = Visit(request=request, session=session, house=house, names=names)
        if page.changes and not session.may_change:
            return refused(visit, 403, "Your key may look, but change nothing.")
        if page.method == "POST" and sessions.is_forged(request, session):
            return refused(
                visit, 403, "This form is too old, or was not ours. Go back, load the page again and repeat it."
            )
        try:
            return page.view(visit)
        except RefusedError as error:
            return refused(visit, error.status, str(error))
        except (ConfigError, PolicyError) as error:
            return refused(visit, 400, str(error))

    return answer


def refused(visit: Visit, status: int, message: str) -> Response:
    """Return a page that says why there is nothing else to see."""
    return Response(show("refused.html", visit, message=message), status)


def _local_path(asked: Request) -> str | None:
    """Return where to go on after logging in: only to what can be looked at."""
    return asked.root_path + asked.full_path.rstrip("?") if asked.method == "GET" else None
