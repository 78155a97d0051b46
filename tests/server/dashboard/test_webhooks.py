"""Webhooks, for admins."""

from __future__ import annotations

import re

import pytest

from tests.server.dashboard.browser import Person
from tests.support.servers import Place
from tests.support.webhooks import SECRET, a_post, an_event


@pytest.fixture(autouse=True)
def _loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDLEBAR_WEBHOOK_ALLOW", "127.0.0.1/32")


def adds(boss: Person, **changed: str | list[str]) -> int:
    """Add a webhook; return the status."""
    given = {"url": "http://127.0.0.1:1/hook", "secret": SECRET, "events": ["approval.pending"], **changed}
    return boss.sends("/webhooks", **given).status_code


def test_adding_and_deleting(boss: Person) -> None:
    """The secret is shown nowhere."""
    assert 303 == adds(boss)
    page = boss.sees("/webhooks")
    assert ("http://127.0.0.1:1/hook" in page, SECRET in page) == (True, False)
    (hook,) = re.findall(r"/webhooks/([^/]+)/delete", page)
    assert 303 == boss.sends(f"/webhooks/{hook}/delete").status_code
    assert "Nobody is told anything" in boss.sees("/webhooks")


@pytest.mark.parametrize(
    "wrong", [{"url": "ftp://x"}, {"url": "http://10.0.0.1/"}, {"secret": "short"}, {"events": ["none"]}]
)
def test_what_is_no_webhook(boss: Person, wrong: dict[str, str | list[str]]) -> None:
    """Is refused, with what is wrong."""
    assert 422 == adds(boss, **wrong)
    assert "Nobody is told anything" in boss.sees("/webhooks")


def test_another_tenants_webhook(place: Place, boss: Person) -> None:
    """Is not there."""
    adds(boss)
    (hook,) = re.findall(r"/webhooks/([^/]+)/delete", boss.sees("/webhooks"))
    other = Person(place.app.test_client())
    other.logs_in(place.key("admin", tenant="other").secret)
    assert "Nobody is told anything" in other.sees("/webhooks")
    assert 404 == other.sends(f"/webhooks/{hook}/delete").status_code


def test_a_viewer_sees_none(guest: Person) -> None:
    """Nor a link to them."""
    assert 403 == guest.looks("/webhooks").status_code
    assert "/webhooks" not in guest.sees("/")


def test_dead_letters(place: Place, boss: Person) -> None:
    """Are shown with what went wrong, and delivered once more, one or all."""
    with a_post(place.file) as post:
        post.hook("http://127.0.0.1:1/hook")
        post.tells(an_event(), an_event(packet_id="p-2"))
        for _ in range(6):
            post.deliverer.deliver_due()
            post.moves(24 * 3600)
    page = boss.sees("/webhooks")
    letters = re.findall(r"/dead-letters/([^\"]+)", page)
    assert (2, True) == (len(letters), "packet.created" in page)
    assert 303 == boss.sends(f"/webhooks/dead-letters/{letters[0]}").status_code
    assert letters[1:] == re.findall(r"/dead-letters/([^\"]+)", boss.sees("/webhooks"))
    assert 303 == boss.sends("/webhooks/dead-letters").status_code
    assert "Everything was delivered" in boss.sees("/webhooks")
