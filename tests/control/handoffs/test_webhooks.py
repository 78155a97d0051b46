"""Webhooks over the API: registered, listed, deleted; their deliveries; dead letters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from handlebar._plumbing.clock import Deadline
from handlebar.control.handoffs import webhooks_store
from handlebar.control.handoffs.signing import signature
from handlebar.control.tables import handoff_webhooks
from tests.support.handoffs import Office, Somebody, an_office
from tests.support.http_server import Answer, HttpServer
from tests.support.webhooks import SECRET, Post

URL = "http://127.0.0.1:1/hook"


@pytest.fixture(autouse=True)
def _loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDLEBAR_WEBHOOK_ALLOW", "127.0.0.1/32")


@pytest.fixture(name="writer")
def _writer(office: Office) -> Somebody:
    return office.somebody("writer")


def body(url: str = URL, **more: Any) -> dict[str, Any]:
    """Return what is sent to register a webhook."""
    return {"url": url, "secret": SECRET, **more}


def test_a_webhook_is_shown_without_its_secret(writer: Somebody, office: Office) -> None:
    """What is registered is answered and listed, newest first, with the usual events and never with the secret."""
    made = writer.does("POST", "hooks", body())
    assert {"id", "url", "events", "tenant_id", "active", "created_at"} == set(made)
    assert (URL, "default", True) == (made["url"], made["tenant_id"], made["active"])
    assert ["packet.created", "packet.claimed", "packet.completed", "packet.failed"] == made["events"]
    other = writer.does("POST", "hooks", body(events=["hitl.response_ready", "approval.pending"]))
    none = writer.does("POST", "hooks", body(events=[]))
    assert [none, other, made] == writer.does("GET", "hooks")
    assert SECRET not in json.dumps(writer.does("GET", "audit"))
    assert [] == office.somebody(tenant="other").does("GET", "hooks")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"url": "http://10.0.0.1/"}, "url"),
        ({"url": "http://169.254.169.254/latest/meta-data"}, "url"),
        ({"url": "ftp://example.com"}, "url"),
        ({"url": "http://user:pass@127.0.0.1/"}, "url"),
        ({"url": None}, "url"),
        ({"secret": "x" * 15}, "secret"),
        ({"secret": "x" * 257}, "secret"),
        ({"events": ["packet.exploded"]}, "events"),
        ({"events": "packet.created"}, "events"),
    ],
)
def test_what_may_not_be_called_is_refused(writer: Somebody, wrong: dict[str, Any], field: str) -> None:
    """A URL that may not be called, a secret too short or too long and an unknown event are told by their field."""
    status, detail = writer.refused("POST", "hooks", {**body(), **wrong})
    assert (422, field) == (status, detail[0]["loc"][1])
    assert [] == writer.does("GET", "hooks")


def test_roles(office: Office) -> None:
    """Writers have webhooks; only admins retry all; readers see neither webhooks nor dead letters."""
    reader, writer = office.somebody("reader"), office.somebody("writer")
    for method, path in (("GET", "hooks"), ("POST", "hooks"), ("GET", "hooks/dlq"), ("DELETE", "hooks/x")):
        assert 403 == reader.refused(method, path)[0]
    assert 403 == writer.refused("POST", "hooks/dlq/retry-all")[0]
    assert {"retried": 0, "succeeded": 0, "failed": 0} == office.somebody().does("POST", "hooks/dlq/retry-all")


def test_a_deleted_webhook_stays_in_the_list(writer: Somebody, office: Office) -> None:
    """Deleting is once only; another tenant's webhook is one that does not exist."""
    made = writer.does("POST", "hooks", body())
    stranger = office.somebody(tenant="other")
    assert 404 == stranger.refused("DELETE", f"hooks/{made['id']}")[0]
    assert 404 == stranger.refused("GET", f"hooks/{made['id']}/deliveries")[0]
    assert writer.does("DELETE", f"hooks/{made['id']}") is None
    assert [{**made, "active": False}] == writer.does("GET", "hooks")
    assert 409 == writer.refused("DELETE", f"hooks/{made['id']}")[0]
    assert 404 == writer.refused("DELETE", "hooks/nothing")[0]


def test_a_tenant_has_so_many_at_most(writer: Somebody, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more than there may be is refused, until one is deleted."""
    monkeypatch.setattr(webhooks_store, "MOST_WEBHOOKS", 2)
    first = writer.does("POST", "hooks", body())
    writer.does("POST", "hooks", body())
    assert 409 == writer.refused("POST", "hooks", body())[0]
    writer.does("DELETE", f"hooks/{first['id']}")
    writer.does("POST", "hooks", body())


def test_packets_are_told_to_webhooks(office: Office, writer: Somebody) -> None:
    """What happens to a packet is delivered in order, and the log tells of it, newest first and by status."""
    post = Post(office.database)
    with HttpServer() as receiver:
        receiver.behave(Answer(200))
        hook = writer.does("POST", "hooks", body(receiver.url))
        packet = writer.moves(writer.claims(writer.makes()), "in_progress", "completed")
        writer.does("DELETE", f"packets/{packet['id']}")
        post.deliverer.deliver_due()
        told = [request.json() for request in receiver.requests]
    kinds = ["packet.created", "packet.claimed", "packet.completed"]
    assert [(kind, packet["id"]) for kind in kinds] == [(each["event"], each["packet_id"]) for each in told]
    assert "refunds-2" == told[1]["metadata"]["target_agent"]["id"]
    log = writer.does("GET", f"hooks/{hook['id']}/deliveries")
    assert [(kind, "delivered", 1, 200) for kind in reversed(kinds)] == [
        (each["event_type"], each["status"], each["attempts"], each["last_status_code"]) for each in log
    ]
    members = (
        "id webhook_id packet_id event_type status attempts last_error last_status_code next_retry_at delivered_at"
    )
    assert {*members.split(), "created_at", "updated_at"} == set(log[0])
    assert log[1:2] == writer.does("GET", f"hooks/{hook['id']}/deliveries?limit=1&offset=1")
    assert [] == writer.does("GET", f"hooks/{hook['id']}/deliveries?status=failed")
    assert 422 == writer.refused("GET", f"hooks/{hook['id']}/deliveries?limit=201")[0]


def test_dead_letters_are_listed_and_replayed(office: Office, writer: Somebody) -> None:
    """A dead letter is the same as a delivery without what it no longer has; replaying it takes it off the list."""
    post = Post(office.database)
    hook = writer.does("POST", "hooks", body())
    writer.makes()
    for wait in (1, 5, 30, 300, 3600, 0):
        post.deliverer.deliver_due()
        post.moves(wait)
    (letter,) = writer.does("GET", "hooks/dlq")
    assert {"status", "next_retry_at", "delivered_at"} == set(
        writer.does("GET", f"hooks/{hook['id']}/deliveries")[0]
    ) - set(letter)
    stranger = office.somebody(tenant="other")
    assert [] == stranger.does("GET", "hooks/dlq")
    assert 404 == stranger.refused("POST", f"hooks/dlq/{letter['id']}/replay")[0]
    answered = writer.does("POST", f"hooks/dlq/{letter['id']}/replay")
    assert {"delivery_id": letter["id"], "replayed": True} == answered
    assert [] == writer.does("GET", "hooks/dlq")
    assert 404 == writer.refused("POST", f"hooks/dlq/{letter['id']}/replay")[0]
    assert "pending" == writer.does("GET", f"hooks/{hook['id']}/deliveries")[0]["status"]


def test_a_repeated_registration_is_one_webhook(writer: Somebody) -> None:
    """A call that is repeated with its idempotency key has the same answer and no second webhook."""
    first = writer.does("POST", "hooks", body(), idempotency_key="k")
    assert first == writer.does("POST", "hooks", body(), idempotency_key="k")
    assert [first] == writer.does("GET", "hooks")


def test_a_database_in_memory_has_webhooks_too() -> None:
    """What works on a file works in memory."""
    with an_office(None) as office:
        admin = office.somebody()
        made = admin.does("POST", "hooks", body())
        admin.makes()
        with office.database.read(Deadline.after(10)) as connection:
            found = webhooks_store.deliveries(connection, "default", made["id"], status=None, limit=9, offset=0)
        assert ["packet.created"] == [each.event_type for each in found]


def test_nothing_is_allowed_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the operator's word no webhook may be on this machine."""
    monkeypatch.delenv("HANDLEBAR_WEBHOOK_ALLOW")
    with an_office(tmp_path / "other.db") as office:
        assert 422 == office.somebody().refused("POST", "hooks", body())[0]


class TestSecrets:
    """Kept so that who can read the database cannot sign."""

    KEY = "a key of at least thirty-two characters"

    def kept(self, office: Office) -> list[str]:
        """Return what the database has."""
        with office.database.read(Deadline.after(10)) as connection:
            return list(connection.execute(select(handoff_webhooks.c.secret)).scalars())

    def delivered(self, office: Office, receiver: HttpServer) -> list[str]:
        """Make a packet, and return the signatures that come."""
        office.somebody().makes()
        Post(office.database).deliverer.deliver_due()
        return [
            request.headers["x-hr-signature"]
            for request in receiver.requests
            if request.headers["x-hr-signature"] == signature(SECRET, request.body)
        ]

    def test_they_are_sealed_with_the_operators_key(self, office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
        """The database does not hold the secret; deliveries are signed with it, also after the key was changed."""
        monkeypatch.setenv("HANDLEBAR_SECRETS_KEY", self.KEY)
        with HttpServer() as receiver:
            receiver.behave(Answer(200))
            office.somebody().does("POST", "hooks", body(receiver.url))
            assert SECRET not in "".join(self.kept(office))
            assert 1 == len(self.delivered(office, receiver))
            monkeypatch.setenv("HANDLEBAR_SECRETS_KEY", f"{self.KEY[::-1]}, {self.KEY}")
            assert 2 == len(self.delivered(office, receiver))

    def test_without_the_key_nothing_is_sent(self, office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
        """A delivery whose secret cannot be opened fails and says why."""
        monkeypatch.setenv("HANDLEBAR_SECRETS_KEY", self.KEY)
        with HttpServer() as receiver:
            hook = office.somebody().does("POST", "hooks", body(receiver.url))
            for key in ("", self.KEY[::-1]):
                monkeypatch.setenv("HANDLEBAR_SECRETS_KEY", key)
                assert [] == self.delivered(office, receiver)
            assert [] == receiver.requests
        (_, failed) = office.somebody().does("GET", f"hooks/{hook['id']}/deliveries")
        assert "HANDLEBAR_SECRETS_KEY" in failed["last_error"]

    def test_a_key_that_is_too_short_is_refused(self, office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
        """The operator is told when a webhook is registered; the key itself is not repeated."""
        monkeypatch.setenv("HANDLEBAR_SECRETS_KEY", "short-one")
        status, detail = office.somebody().refused("POST", "hooks", body())
        assert (422, True, False) == (status, "HANDLEBAR_SECRETS_KEY" in detail, "short-one" in detail)
