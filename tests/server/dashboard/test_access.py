"""Who gets into the dashboard, and for how long."""

from __future__ import annotations

from typing import Any

import pytest

from handlebar.control.browser_access import BrowserAccess
from handlebar.control.database import Database
from handlebar.server.dashboard import sessions
from tests.server.dashboard.browser import Person
from tests.support.control import url_of
from tests.support.servers import Place

PAGES = [
    "/",
    "/runs",
    "/inbox",
    "/policies",
    "/agents",
    "/handoffs",
    "/keys",
    "/webhooks",
    "/edit-policy",
    "/live/inbox",
]
CHANGES = ["/policies", "/keys", "/agents/desk/lockdown", "/agents/desk/lift", "/inbox/a-1", "/policies/p/delete"]
CHANGES += ["/policies/try", "/policies/p/promote", "/webhooks", "/webhooks/w/delete", "/webhooks/dead-letters/d"]


def access(place: Place) -> BrowserAccess:
    """Return what the sessions of the place depend on."""
    return BrowserAccess(Database(url_of(place.file)))


@pytest.mark.parametrize("path", PAGES)
def test_nothing_is_shown_to_strangers(visitor: Person, path: str) -> None:
    """They are asked to log in, and come back to where they wanted to go."""
    answer = visitor.looks(path)
    assert (303, True) == (answer.status_code, "/dashboard/log-in" in answer.location)


@pytest.mark.parametrize("path", CHANGES)
def test_nothing_is_changed_by_strangers(visitor: Person, path: str) -> None:
    """Nor by those whose session is over."""
    assert 303 == visitor.client.post(f"/dashboard{path}").status_code


def test_a_key_logs_in(place: Place, visitor: Person) -> None:
    """And the cookie is none that a script could read, or another site send."""
    answer = visitor.logs_in(place.key("admin").secret)
    cookie = answer.headers["set-cookie"]
    assert ("HttpOnly" in cookie, "SameSite=Lax" in cookie) == (True, True)
    assert "Overview" in visitor.sees("/")


def test_password_managers_know_what_they_keep(visitor: Person) -> None:
    """The key has a name beside it, which nobody has to type or to see."""
    page = visitor.sees("/log-in")
    assert '<input name="username" autocomplete="username" value="Handlebar" hidden>' in page


@pytest.mark.parametrize("wrong", ["", "hb_wrong", "x" * 10_000, "\N{SNOWMAN}\r\nset-cookie: a=b"])
def test_a_wrong_key(visitor: Person, wrong: str) -> None:
    """Gets nobody in."""
    assert 401 == visitor.logs_in(wrong).status_code
    assert 303 == visitor.looks("/").status_code


@pytest.mark.parametrize("role", ["agent", "reader", "writer"])
def test_keys_of_programs(place: Place, visitor: Person, role: Any) -> None:
    """Are for programs."""
    assert 403 == visitor.logs_in(place.key(role).secret).status_code
    assert 303 == visitor.looks("/").status_code


def test_guessing_is_limited(place: Place, visitor: Person) -> None:
    """After ten wrong keys even a good one has to wait."""
    for _ in range(10):
        visitor.logs_in("hb_wrong")
    assert 429 == visitor.logs_in(place.key("admin").secret).status_code


@pytest.mark.parametrize("path", CHANGES)
def test_a_viewer_changes_nothing(guest: Person, path: str) -> None:
    """Even with a form of his own making."""
    assert 403 == guest.sends(path, reason="x", content="x").status_code


@pytest.mark.parametrize("path", ["/agents", "/policies", "/inbox"])
def test_a_viewer_sees_no_buttons(guest: Person, path: str) -> None:
    """But the one that logs out."""
    assert 2 == guest.sees(path).count("<button")


@pytest.mark.parametrize("path", CHANGES)
def test_other_sites_forge_nothing(boss: Person, path: str) -> None:
    """A form without the session's token is refused."""
    for token in ({}, {"csrf": ""}, {"csrf": "wrong"}, {"csrf": "\N{SNOWMAN}"}):
        assert 403 == boss.client.post(f"/dashboard{path}", data=token).status_code


def test_a_revoked_key(place: Place, visitor: Person, boss: Person) -> None:
    """Ends its sessions."""
    made = place.key("viewer")
    visitor.logs_in(made.secret)
    assert 200 == visitor.looks("/").status_code
    boss.sends(f"/keys/{made.record.id}/revoke")
    assert 303 == visitor.looks("/").status_code


def test_logging_out(place: Place, visitor: Person) -> None:
    """Here, or everywhere."""
    secret = place.key("admin").secret
    elsewhere = Person(place.app.test_client())
    for person in (visitor, elsewhere):
        person.logs_in(secret)
    visitor.sends("/log-out")
    assert (303, 200) == (visitor.looks("/").status_code, elsewhere.looks("/").status_code)
    visitor.logs_in(secret)
    visitor.sends("/log-out", everywhere="1")
    assert (303, 303) == (visitor.looks("/").status_code, elsewhere.looks("/").status_code)
    assert 303 == visitor.logs_in(secret).status_code
    assert 200 == visitor.looks("/").status_code


def test_a_session_ends_by_itself(boss: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """After twelve hours."""
    monkeypatch.setattr(sessions, "SECONDS", -1)
    assert 303 == boss.looks("/").status_code


def test_a_cookie_of_ones_own_making(place: Place, visitor: Person) -> None:
    """Is none."""
    for forged in ("x", "eyJrZXkiOiJhIn0.aaaa.bbbb", "\N{SNOWMAN}"):
        visitor.client.set_cookie(sessions.COOKIE, forged)
        assert 303 == visitor.looks("/").status_code


def test_a_link(place: Place, visitor: Person) -> None:
    """Logs in once, when its button is pressed, and not when somebody only looks at it."""
    secret = access(place).make_link(place.key("admin").record.id)
    for _ in range(3):
        assert "Log in" in visitor.sees(f"/link/{secret}")
    assert 303 == visitor.client.post(f"/dashboard/link/{secret}").status_code
    assert 200 == visitor.looks("/").status_code
    again = Person(place.app.test_client())
    assert 401 == again.client.post(f"/dashboard/link/{secret}").status_code


def test_a_link_that_is_old(place: Place, visitor: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs nobody in."""
    monkeypatch.setattr("handlebar.control.browser_access.LINK_SECONDS", -1)
    secret = access(place).make_link(place.key("admin").record.id)
    assert 401 == visitor.client.post(f"/dashboard/link/{secret}").status_code


@pytest.mark.parametrize("next_", ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"])
def test_logging_in_leads_nowhere_else(place: Place, visitor: Person, next_: str) -> None:
    """Whatever a link to the log-in says."""
    data = {"key": place.key("admin").secret, "next": next_}
    assert "/dashboard/" == visitor.client.post("/dashboard/log-in", data=data).location


def test_tenants_are_apart(place: Place, boss: Person) -> None:
    """Another tenant's admin sees nothing of ours."""
    place.caller().registers("secret-desk")
    other = Person(place.app.test_client())
    other.logs_in(place.key("admin", tenant="other").secret)
    assert "secret-desk" in boss.sees("/agents")
    assert "secret-desk" not in other.sees("/agents")


def test_browsers_are_told_what_they_may_do(boss: Person) -> None:
    """On every page, and on those of strangers."""
    for path in PAGES[:-1]:
        headers = boss.looks(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert ("nosniff", "DENY", "no-store") == (
            headers["x-content-type-options"],
            headers["x-frame-options"],
            headers["cache-control"],
        )
