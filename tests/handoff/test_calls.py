"""What each method of the client sends, and what it makes of the answer."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import pytest

from handlebar.handoff import (
    ApiKeyResponse,
    AuditLogResponse,
    BatchClaimResponse,
    BatchCompleteResponse,
    BatchCreateResponse,
    HandoffRailClient,
    PacketHistoryResponse,
    PacketListResponse,
    PacketResponse,
    PacketStatus,
    PacketUpdate,
    ReplayResponse,
    RetryAllResponse,
    SchemaListResponse,
    SchemaResponse,
    SearchOptions,
    ServerError,
    StatsResponse,
    TenantResponse,
    ValidationError,
    WebhookDelivery,
    WebhookResponse,
)
from tests.handoff.packets import KEY, PACKET_ID, packet, page_of, says, stored
from tests.support.http_server import Answer, HttpServer

AT = {"created_at": "2026-03-04T10:00:00"}
TENANT = {"id": "t-1", "name": "T", "tier": "free", "handoffs_per_day": 5, "max_api_keys": 5, "updated_at": None, **AT}
A_KEY = {"id": "k-1", "name": "K", "key_prefix": "hr_abcde", "tenant_id": "default", "role": "admin", "key": None, **AT}
A_HOOK = {"id": "w-1", "url": "https://x", "events": [], "tenant_id": "default", "active": True, **AT}
A_SCHEMA = {"id": "s-1", "name": "S", "version": 1, "json_schema": {"type": "object"}, "tenant_id": "default", **AT}
A_DELIVERY = {
    **dict.fromkeys(("id", "webhook_id", "packet_id", "event_type", "status"), "x"),
    **{"attempts": 1, "last_error": None, "last_status_code": 500, "updated_at": "2026-03-04T10:00:00", **AT},
}
EVENT = {"id": "e", "packet_id": "p", "event_type": "created", "actor": "agent:a", "details": {}}
AGENT = {"agent_id": "b-1", "agent_name": "B"}
SECRET = "a-secret-of-many-letters"

CALLS: list[tuple[str, Any, str, Any, Any, Any]] = [
    # name, what is called, request line, body, answer, what comes back
    ("create", lambda c: c.create_packet(packet()), "POST /packets", ..., stored(), PacketResponse),
    ("get", lambda c: c.get_packet(UUID(PACKET_ID)), f"GET /packets/{PACKET_ID}", None, stored(), PacketResponse),
    ("list", lambda c: c.list_packets(), "GET /packets?limit=50&offset=0", None, page_of(stored()), PacketListResponse),
    (
        "awaiting",
        lambda c: c.get_awaiting(limit=5, offset=1),
        "GET /packets/awaiting?limit=5&offset=1",
        None,
        page_of(),
        PacketListResponse,
    ),
    (
        "search",
        lambda c: c.search_packets("it's", SearchOptions(status="failed")),
        "GET /packets/search?q=it%27s&limit=50&offset=0&status=failed",
        None,
        page_of(),
        PacketListResponse,
    ),
    (
        "history",
        lambda c: c.get_history("p"),
        "GET /packets/p/history",
        None,
        {"packet_id": "p", "events": [{**EVENT, "timestamp": "2026-03-04T10:00:00"}]},
        PacketHistoryResponse,
    ),
    ("claim", lambda c: c.claim_packet("p", **AGENT), "POST /packets/p/claim", AGENT, stored(), PacketResponse),
    (
        "update",
        lambda c: c.update_packet("p", PacketUpdate(status=PacketStatus.FAILED)),
        "PATCH /packets/p",
        {"status": "failed"},
        stored(status="failed"),
        PacketResponse,
    ),
    (
        "complete",
        lambda c: c.complete_packet("p"),
        "PATCH /packets/p",
        {"status": "completed"},
        stored(status="completed"),
        PacketResponse,
    ),
    ("delete", lambda c: c.delete_packet("p"), "DELETE /packets/p", None, None, type(None)),
    (
        "respond",
        lambda c: c.respond_to_hitl("p", response="yes", responded_by="ann", notes="n"),
        "POST /packets/p/respond",
        {"response": "yes", "responded_by": "ann", "notes": "n"},
        stored(),
        PacketResponse,
    ),
    ("chain", lambda c: c.chain_handoff("p", packet()), "POST /packets/p/chain", ..., stored(), PacketResponse),
    (
        "batch create",
        lambda c: c.batch_create_packets([packet()]),
        "POST /packets/batch",
        ...,
        {"created": [stored()], "errors": [{"index": 1, "error": "no"}]},
        BatchCreateResponse,
    ),
    (
        "batch claim",
        lambda c: c.batch_claim_packets([PACKET_ID], "b-1", "B"),
        "POST /packets/batch/claim",
        {"packet_ids": [PACKET_ID], **AGENT},
        {"claimed": [stored()], "errors": []},
        BatchClaimResponse,
    ),
    (
        "batch complete",
        lambda c: c.batch_complete_packets([UUID(PACKET_ID)]),
        "POST /packets/batch/complete",
        {"packet_ids": [PACKET_ID]},
        {"completed": [], "errors": [{"packet_id": PACKET_ID, "error": "no"}]},
        BatchCompleteResponse,
    ),
    (
        "hook",
        lambda c: c.register_webhook(url="https://x", events=["packet.failed"], secret=SECRET),
        "POST /hooks",
        {"url": "https://x", "events": ["packet.failed"], "secret": SECRET},
        A_HOOK,
        WebhookResponse,
    ),
    ("hooks", lambda c: c.list_webhooks(), "GET /hooks", None, [A_HOOK], list),
    ("delete hook", lambda c: c.delete_webhook("w"), "DELETE /hooks/w", None, None, type(None)),
    (
        "deliveries",
        lambda c: c.list_webhook_deliveries("w", status="failed"),
        "GET /hooks/w/deliveries?status=failed&limit=50&offset=0",
        None,
        [A_DELIVERY],
        list,
    ),
    ("dead", lambda c: c.list_dead_letters(), "GET /hooks/dlq?limit=50&offset=0", None, [A_DELIVERY], list),
    (
        "replay",
        lambda c: c.replay_dead_letter("d"),
        "POST /hooks/dlq/d/replay",
        None,
        {"delivery_id": "d", "replayed": True},
        ReplayResponse,
    ),
    (
        "retry all",
        lambda c: c.retry_dead_letters(),
        "POST /hooks/dlq/retry-all",
        None,
        {"retried": 1, "succeeded": 1, "failed": 0},
        RetryAllResponse,
    ),
    (
        "audit",
        lambda c: c.list_audit_log(packet_id=UUID(PACKET_ID), limit=1),
        f"GET /audit?packet_id={PACKET_ID}&limit=1&offset=0",
        None,
        {"entries": [], "total": 0, "limit": 1, "offset": 0},
        AuditLogResponse,
    ),
    (
        "schema",
        lambda c: c.create_schema(name="S", json_schema={"type": "object"}),
        "POST /schemas",
        {"name": "S", "json_schema": {"type": "object"}, "version": 1},
        A_SCHEMA,
        SchemaResponse,
    ),
    (
        "schemas",
        lambda c: c.list_schemas(),
        "GET /schemas?limit=50&offset=0",
        None,
        {"schemas": [A_SCHEMA], "total": 1, "limit": 50, "offset": 0},
        SchemaListResponse,
    ),
    ("get schema", lambda c: c.get_schema("s"), "GET /schemas/s", None, A_SCHEMA, SchemaResponse),
    (
        "key",
        lambda c: c.create_api_key(name="K", role="agent"),
        "POST /keys",
        {"name": "K", "role": "agent"},
        {**A_KEY, "key": KEY},
        ApiKeyResponse,
    ),
    ("keys", lambda c: c.list_api_keys(), "GET /keys", None, [A_KEY], list),
    ("rotate", lambda c: c.rotate_api_key("k"), "POST /keys/k/rotate", None, A_KEY, ApiKeyResponse),
    ("revoke", lambda c: c.revoke_api_key("k"), "DELETE /keys/k", None, None, type(None)),
    (
        "tenant",
        lambda c: c.create_tenant(name="T"),
        "POST /tenants",
        {"name": "T", "tier": "free"},
        TENANT,
        TenantResponse,
    ),
    ("tenants", lambda c: c.list_tenants(), "GET /tenants", None, [TENANT], list),
    ("get tenant", lambda c: c.get_tenant("t"), "GET /tenants/t", None, TENANT, TenantResponse),
    (
        "update tenant",
        lambda c: c.update_tenant("t", handoffs_per_day=9),
        "PATCH /tenants/t",
        {"handoffs_per_day": 9},
        TENANT,
        TenantResponse,
    ),
    ("delete tenant", lambda c: c.delete_tenant("t"), "DELETE /tenants/t", None, None, type(None)),
    ("tenant keys", lambda c: c.list_tenant_keys("t"), "GET /tenants/t/keys", None, [A_KEY], list),
    ("stats", lambda c: c.get_stats(), "GET /stats", None, {"total_packets": 3}, StatsResponse),
]


@pytest.mark.parametrize(
    ("call", "line", "body", "answer", "kind"), [each[1:] for each in CALLS], ids=[each[0] for each in CALLS]
)
def test_each_method(
    server: HttpServer, client: HandoffRailClient, call: Any, line: str, body: Any, answer: Any, kind: type
) -> None:
    """Sends one request, with the key, and gives a record of the promised kind."""
    server.behave(Answer(204) if answer is None else says(answer))
    assert kind is type(call(client))
    (sent,) = server.requests
    method, _, path = line.partition(" ")
    assert (method, f"/api/v1{path}") == (sent.method, sent.path)
    assert KEY == sent.headers["x-api-key"]
    if body is not ...:
        assert body == (json.loads(sent.body) if sent.body else None)
    assert (method == "POST") == ("idempotency-key" in sent.headers)


def test_a_packet_is_sent_as_it_is(server: HttpServer, client: HandoffRailClient) -> None:
    """The body is the packet's `to_dict`, whether it comes as a record or as a dict."""
    server.behave(says(stored(), 201))
    made = packet()
    client.create_packet(made)
    client.create_packet(made.to_dict())
    assert [made.to_dict()] * 2 == [request.json() for request in server.requests]


def test_every_post_has_a_key_of_its_own(server: HttpServer, client: HandoffRailClient) -> None:
    """Two packets that look alike are two packets."""
    server.behave(says(stored(), 201))
    client.create_packet(packet())
    client.create_packet(packet())
    assert 2 == len({request.headers["idempotency-key"] for request in server.requests})


def test_filters(server: HttpServer, client: HandoffRailClient) -> None:
    """Several words go as a list with commas, times with their zone; what is empty is left out."""
    server.behave(says(page_of()))
    client.list_packets(
        status=[PacketStatus.CREATED, "failed"],
        source_agent="a&b",
        target_agent="",
        tags=("x", "y"),
        priority="high",
        created_after=datetime(2026, 3, 4, 10),
        created_before="2026-03-05T00:00:00+02:00",
        cursor="c/1==",
        limit=7,
    )
    client.list_packets(created_after=datetime(2026, 3, 4, 10, tzinfo=timezone.utc), tags="x")
    assert [
        ("status", "created,failed"),
        ("source_agent", "a&b"),
        ("tags", "x,y"),
        ("priority", "high"),
        ("created_after", "2026-03-04T10:00:00Z"),
        ("created_before", "2026-03-05T00:00:00+02:00"),
        ("limit", "7"),
        ("offset", "0"),
        ("cursor", "c/1=="),
    ] == parse_qsl(urlsplit(server.requests[0].path).query)
    second = dict(parse_qsl(urlsplit(server.requests[1].path).query))
    assert ("2026-03-04T10:00:00Z", "x") == (second["created_after"], second["tags"])


BAD: list[tuple[Any, str]] = [
    (lambda c: c.list_packets(limit=0), "limit"),
    (lambda c: c.list_packets(limit=201), "limit"),
    (lambda c: c.list_packets(limit="5"), "limit"),
    (lambda c: c.list_packets(limit=True), "limit"),
    (lambda c: c.list_packets(offset=-1), "offset"),
    (lambda c: c.list_packets(created_after=5), "created_after"),
    (lambda c: c.list_packets(tags=[1]), "tags"),
    (lambda c: c.list_packets(tags=5), "tags"),
    (lambda c: c.list_packets(source_agent="\ud800"), "source_agent"),
    (lambda c: c.get_awaiting(limit=0), "limit"),
    (lambda c: c.search_packets("xx", {"limit": 0}), "limit"),
    (lambda c: c.create_packet(None), "packet"),
    (lambda c: c.create_packet({}), "metadata"),
    (lambda c: c.chain_handoff("p", PacketUpdate()), "request"),
    (lambda c: c.update_packet("p", "completed"), "update"),
    (lambda c: c.claim_packet("p", agent_id=1, agent_name="x"), "agent_id"),
    (lambda c: c.respond_to_hitl("p", response=None, responded_by="x"), "response"),
    (lambda c: c.register_webhook(url="x", secret=SECRET), "url"),
    (lambda c: c.register_webhook(url="https://x", secret=SECRET, events=["x"]), "events.0"),
    (lambda c: c.batch_create_packets([{}]), "packets.0.metadata"),
    (lambda c: c.batch_claim_packets(PACKET_ID, "b", "B"), "packet_ids"),
    (lambda c: c.batch_complete_packets([]), "packet_ids"),
    (lambda c: c.create_api_key(name="k", role="god"), "role"),
    (lambda c: c.create_schema(name="s", json_schema="{}"), "json_schema"),
    (lambda c: c.stream_events(channels=[5]), "channels"),
]


@pytest.mark.parametrize(("call", "field"), BAD, ids=[f"{number}-{each[1]}" for number, each in enumerate(BAD)])
def test_bad_arguments(server: HttpServer, client: HandoffRailClient, call: Any, field: str) -> None:
    """Are refused before anything is sent."""
    with pytest.raises(ValidationError) as refused:
        call(client)
    assert field == refused.value.field
    assert not server.requests


def test_a_builder_that_was_not_built(client: HandoffRailClient) -> None:
    """The message says what to do."""
    from handlebar.handoff import PacketBuilder

    with pytest.raises(ValidationError, match="build"):
        client.create_packet(PacketBuilder())  # type: ignore[arg-type]


def test_all_pages_are_walked(server: HttpServer, client: HandoffRailClient) -> None:
    """By their cursors, until there is none, with the filters on each."""
    server.behave(says(page_of(stored(version="1"), stored(version="2"), next_cursor="c1")), times=1)
    server.behave(says(page_of(next_cursor="c2")), times=1)
    server.behave(says(page_of(stored(version="3"))), times=1)
    found = client.iter_packets(status="created", limit=2)
    assert not server.requests
    assert ["1", "2", "3"] == [each.version for each in found]
    queries = [dict(parse_qsl(urlsplit(request.path).query)) for request in server.requests]
    assert [None, "c1", "c2"] == [query.get("cursor") for query in queries]
    assert ["created"] * 3 == [query["status"] for query in queries]


def test_pages_that_go_round_in_a_circle(server: HttpServer, client: HandoffRailClient) -> None:
    """Are an error, and not an endless loop."""
    server.behave(says(page_of(stored(), next_cursor="again")))
    with pytest.raises(ServerError, match="same page"):
        list(client.iter_packets())
    assert 2 == len(server.requests)


def test_completing_goes_through_in_progress(server: HttpServer, client: HandoffRailClient) -> None:
    """Where the packet has been claimed only."""
    server.behave(says({"detail": "Cannot go from claimed to completed"}, 400), times=1)
    server.behave(says(stored(status="claimed")), times=1)
    server.behave(says(stored(status="in_progress")), times=1)
    server.behave(says(stored(status="completed")), times=1)
    assert PacketStatus.COMPLETED == client.complete_packet(PACKET_ID).status
    bodies = [request.json()["status"] for request in server.requests if request.method == "PATCH"]
    assert ["completed", "in_progress", "completed"] == bodies


@pytest.mark.parametrize("status", ["created", "awaiting_human", "failed"])
def test_completing_does_not_go_around_anybody(server: HttpServer, client: HandoffRailClient, status: str) -> None:
    """From any other state the server's refusal stands; a person's answer is not bypassed."""
    server.behave(says({"detail": "no"}, 400), times=1)
    server.behave(says(stored(status=status)), times=1)
    with pytest.raises(ValidationError, match="no") as refused:
        client.complete_packet(PACKET_ID)
    assert 400 == refused.value.status_code
    assert 2 == len(server.requests)


def test_deliveries_can_be_asked_like_dicts() -> None:
    """The published client gives dicts."""
    delivery = WebhookDelivery.from_dict(A_DELIVERY)
    assert (500, None) == (delivery["last_status_code"], delivery["next_retry_at"])
    with pytest.raises(KeyError):
        delivery["nonsense"]


@pytest.mark.parametrize("suffix", ["", "/", "/api/v1", "/api/v1/", "/api/v1//"])
def test_base_urls(server: HttpServer, suffix: str) -> None:
    """With or without what all paths begin with."""
    server.behave(says(stored()))
    with HandoffRailClient(server.url + suffix, f" {KEY}\n") as client:
        client.get_packet("p")
    assert "/api/v1/packets/p" == server.requests[0].path
    assert KEY == server.requests[0].headers["x-api-key"]


def test_a_server_below_a_path(server: HttpServer) -> None:
    """A proxy may put the whole API below a path of its own."""
    server.behave(says(stored()))
    with HandoffRailClient(f"{server.url}/rail/api/v1", KEY) as client:
        client.get_packet("p")
    assert "/rail/api/v1/packets/p" == server.requests[0].path
