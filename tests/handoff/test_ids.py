"""Ids in paths: none leads anywhere else."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote
from uuid import UUID

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from handlebar.handoff import HandoffRailClient, ValidationError
from tests.handoff.packets import PACKET_ID, says, stored
from tests.support.http_server import HttpServer

LEADING_ELSEWHERE = [
    "",
    " ",
    ".",
    "..",
    "../tenants/default",
    "..\\tenants",
    "x/../../keys",
    "awaiting",
    "search",
    "dlq",
    "x/history",
    "batch/claim",
    "\ud800",
    None,
    5,
    b"p",
]


@pytest.mark.parametrize("name", LEADING_ELSEWHERE, ids=range(len(LEADING_ELSEWHERE)))
@pytest.mark.parametrize(
    "call",
    [
        lambda c, name: c.get_packet(name),
        lambda c, name: c.delete_packet(name),
        lambda c, name: c.claim_packet(name, agent_id="a", agent_name="A"),
        lambda c, name: c.chain_handoff(name, {**stored(), "parent_packet_id": None}),
        lambda c, name: c.delete_webhook(name),
        lambda c, name: c.get_tenant(name),
    ],
    ids=range(6),
)
def test_what_could_lead_elsewhere_is_not_sent(
    server: HttpServer, client: HandoffRailClient, call: Any, name: Any
) -> None:
    """A server may undo the encoding before it looks at the path, so such ids are refused."""
    with pytest.raises(ValidationError):
        call(client, name)
    assert not server.requests


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(min_size=1, max_size=30))
@example(name="a?limit=1")
@example(name="a#b")
@example(name="a/b c")
@example(name="%2e%2e")
@example(name="ä\0\r\n")
@example(name="x" * 10_000)
def test_everything_else_is_one_segment(server: HttpServer, client: HandoffRailClient, name: str) -> None:
    """Whatever is in it, the server gets it back from the last part of the path."""
    server.behave(says(stored()))
    seen = len(server.requests)
    try:
        client.get_packet(name)
    except ValidationError:
        assert seen == len(server.requests)
        return
    path = server.requests[-1].path
    assert "/api/v1/packets/" == path[:16]
    assert name == unquote(path[16:], errors="strict")
    assert not set("/?# ") & set(path[16:])


def test_uuids(server: HttpServer, client: HandoffRailClient) -> None:
    """An id may be what a record gives."""
    server.behave(says(stored()))
    client.get_packet(client.get_packet(UUID(PACKET_ID)).id)
    assert [f"/api/v1/packets/{PACKET_ID}"] * 2 == [request.path for request in server.requests]
