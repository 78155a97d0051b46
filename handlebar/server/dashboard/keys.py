"""API keys, for admins: made, shown once, revoked."""

from __future__ import annotations

from typing import Any, get_args

from handlebar.control.keys import Role
from handlebar.server.dashboard.pages import Page, Visit, go_to, refused, show


def _keys(visit: Visit) -> Any:
    return _shown(visit)


def _make(visit: Visit) -> Any:
    name, role = visit.field("name"), visit.field("role")
    if not name or role not in get_args(Role):
        return refused(visit, 400, "Give the key a name, and one of the roles.")
    made = visit.house.keys.create(name, role=role, tenant=visit.session.tenant)  # type: ignore[arg-type]  # checked above
    # Shown on this very page: nowhere else may it ever be written.
    return _shown(visit, secret=made.secret)


def _revoke(visit: Visit) -> Any:
    visit.house.keys.revoke(visit.names["key_id"], tenant=visit.session.tenant)
    return go_to("keys", said="Revoked.")


def _shown(visit: Visit, *, secret: str | None = None) -> str:
    listed = visit.house.keys.listed(visit.session.tenant)
    return show("keys.html", visit, keys=listed, roles=get_args(Role), secret=secret)


PAGES = (
    Page("GET", "/keys", "keys", _keys, changes=True),
    Page("POST", "/keys", "key_make", _make, changes=True),
    Page("POST", "/keys/<key_id>/revoke", "key_revoke", _revoke, changes=True),
)
