"""The records: to JSON and back, and what is refused at the door."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from attrs import fields
from hypothesis import given, settings
from hypothesis import strategies as st

import handlebar.handoff
from handlebar.handoff import models
from handlebar.handoff.exceptions import ValidationError
from handlebar.handoff.models import (
    AgentInfo,
    ApiKeyCreate,
    ApiKeyResponse,
    Artifact,
    BatchClaimRequest,
    ChainHandoffRequest,
    ContextEntry,
    HitlCheckpoint,
    Metadata,
    PacketContext,
    PacketCreate,
    PacketResponse,
    PacketStatus,
    PacketUpdate,
    Priority,
    SearchOptions,
    TenantCreate,
    WebhookCreate,
)
from tests.handoff.packets import FULL, PACKET_ID, stored

RECORDS = [
    kind
    for name in models.__all__
    if isinstance(kind := getattr(models, name), type) and issubclass(kind, models.Model) and kind is not models.Model
]


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return the full packet with something else at *path*; with nothing there where *value* is None."""
    packet = copy.deepcopy(FULL)
    *outer, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    place: Any = packet
    for step in outer:
        place = place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return packet


def refused(make: Any) -> ValidationError:
    """Return the error that *make* raises."""
    with pytest.raises(ValidationError) as caught:
        make()
    return caught.value


def without_nulls(value: Any, *, free: bool = False) -> Any:
    """Return JSON without the nulls that stand for absent fields; what users put in stays."""
    if isinstance(value, list):
        return [without_nulls(each) for each in value]
    if not isinstance(value, dict) or free:
        return value
    return {
        key: without_nulls(each, free=key in ("custom", "metadata", "value") and "source_agent" not in each)
        for key, each in value.items()
        if each is not None
    }


def test_a_full_packet_survives() -> None:
    """What the wire's example says is the same after reading and writing, nulls of the user's included."""
    assert without_nulls(FULL) == PacketCreate.from_dict(FULL).to_dict()


def test_what_is_written_is_plain_json() -> None:
    """No enum, time or UUID is left for somebody else to encode."""

    def kinds(value: Any) -> set[type]:
        parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return {type(value)}.union(*map(kinds, parts))

    written = PacketResponse.from_dict(stored(parent_packet_id=PACKET_ID)).to_dict(nulls=True)
    assert kinds(written) <= {dict, list, str, int, bool, type(None)}


def test_nulls_can_be_spelled_out() -> None:
    """As the server does it: every field is there."""
    written = PacketResponse.from_dict(stored()).to_dict(nulls=True)
    assert {each.name for each in fields(PacketResponse)} == set(written)
    assert written["hitl"] is None
    assert written["metadata"]["claimed_at"] is None


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.source_agent.id", None),
        ("metadata.source_agent.id", ""),
        ("metadata.target_agent.name", "  "),
        ("metadata.target_agent", None),
        ("metadata.priority", "urgent"),
        ("metadata.tags", "vip"),
        ("metadata.tags.0", 5),
        ("metadata.created_at", "yesterday"),
        ("metadata.created_at", 1700000000),
        ("context", None),
        ("context.summary", ""),
        ("context.summary", 7),
        ("context.conversation_state.0.role", "assistant"),
        ("context.conversation_state.0.content", ["part"]),
        ("context.conversation_state.0.metadata", []),
        ("context.artifacts.0.value", 5),
        ("context.artifacts.0.value", True),
        ("context.custom", []),
        ("decisions", {"id": "d1"}),
        ("decisions.0.id", None),
        ("decisions.0.alternatives", "Resend"),
        ("actions.pending.0.assignee", None),
        ("actions.pending.0.id", ""),
        ("actions.failed.0.retries_remaining", "1"),
        ("actions.failed.0.retries_remaining", True),
        ("dependencies.0.type", "magic"),
        ("hitl.reason", " "),
        ("hitl.required", "yes"),
        ("parent_packet_id", "no-uuid"),
    ],
)
def test_what_is_wrong_is_named(path: str, value: Any) -> None:
    """By the dotted path of its field, in the error's message too."""
    error = refused(lambda: PacketCreate.from_dict(changed(path, value)))
    assert path == error.field
    assert path in error.message
    assert error.status_code is None


@pytest.mark.parametrize("value", [None, 1, "text", [], [["metadata", {}]]])
def test_what_is_no_object_is_refused(value: Any) -> None:
    """Where an object is needed, nothing else is taken for one."""
    assert "PacketCreate" in refused(lambda: PacketCreate.from_dict(value)).message


def test_constructors_check_like_from_dict() -> None:
    """A record that was made in Python is as good as one that was read."""
    assert "role" == refused(lambda: ContextEntry(role="assistant", content="x")).field  # type: ignore[arg-type]
    assert "id" == refused(lambda: AgentInfo(name="A")).field  # type: ignore[call-arg]
    assert "value" == refused(lambda: Artifact(key="k", value=1.5)).field  # type: ignore[arg-type]
    metadata = Metadata(source_agent={"id": "a", "name": "A"}, target_agent={"id": "b", "name": "B"})  # type: ignore[arg-type]
    assert AgentInfo(id="a", name="A") == metadata.source_agent


def test_a_required_question_needs_a_reason() -> None:
    """In a packet, in a chained one and in an update; one that nobody has to answer needs none."""
    empty = {**FULL, "hitl": {"reason": ""}}
    assert "hitl.reason" == refused(lambda: ChainHandoffRequest.from_dict(empty)).field
    assert "hitl.reason" == refused(lambda: PacketUpdate(hitl=HitlCheckpoint(reason=""))).field
    assert PacketUpdate(hitl=HitlCheckpoint(required=False, reason="")).hitl


def test_answers_may_hold_what_we_would_not_send() -> None:
    """A server that took an empty summary must be able to show it."""
    lax = stored(context={"summary": ""})
    assert "" == PacketResponse.from_dict(lax).context.summary


def test_unknown_fields_and_nulls_do_no_harm() -> None:
    """What a later version adds is ignored; null in a list's place is as good as absent."""
    read = PacketResponse.from_dict(stored(novelty={"x": 1}, decisions=None, dependencies=None, version=None))
    assert ([], [], "1.0.0") == (read.decisions, read.dependencies, read.version)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-04T10:00:00", datetime(2026, 3, 4, 10, tzinfo=timezone.utc)),
        ("2026-03-04T10:00:00.12", datetime(2026, 3, 4, 10, 0, 0, 120000, tzinfo=timezone.utc)),
        ("2026-03-04T10:00:00.123456789Z", datetime(2026, 3, 4, 10, 0, 0, 123456, tzinfo=timezone.utc)),
        ("2026-03-04 10:00Z", datetime(2026, 3, 4, 10, tzinfo=timezone.utc)),
        ("2026-03-04T10:00:00+0530", datetime(2026, 3, 4, 4, 30, tzinfo=timezone.utc)),
        ("2026-03-04", datetime(2026, 3, 4, tzinfo=timezone.utc)),
    ],
)
def test_times_are_always_aware(text: str, expected: datetime) -> None:
    """Those without a zone are in UTC, so that any two can be compared."""
    read = PacketResponse.from_dict(stored(created_at=text)).created_at
    assert expected == read
    assert read.tzinfo is not None


@pytest.mark.parametrize("text", ["2026-13-04T10:00:00", "2026-03-04T25:00:00", "2026-03-04T10:00:00+99:00", "", "x"])
def test_what_is_no_time_is_refused(text: str) -> None:
    """However much it looks like one."""
    assert "created_at" == refused(lambda: PacketResponse.from_dict(stored(created_at=text))).field


def test_offsets_are_kept() -> None:
    """A time with an offset of its own is written with it; naive ones in Python are in UTC."""
    zone = timezone(timedelta(hours=2))
    entry = ContextEntry(role="user", content="x", timestamp=datetime(2026, 3, 4, 10, tzinfo=zone))  # type: ignore[arg-type]
    assert "2026-03-04T10:00:00+02:00" == entry.to_dict()["timestamp"]
    naive = ContextEntry(role="user", content="x", timestamp=datetime(2026, 3, 4, 10))  # type: ignore[arg-type]
    assert "2026-03-04T10:00:00Z" == naive.to_dict()["timestamp"]


def test_ids_are_uuids() -> None:
    """A packet's own id and its parent's, as the published client has them."""
    read = PacketResponse.from_dict(stored(parent_packet_id=PACKET_ID))
    assert UUID(PACKET_ID) == read.id == read.parent_packet_id
    assert PACKET_ID == read.to_dict()["id"]


def test_words_are_strings() -> None:
    """An enum equals its word, and looks like it in text."""
    assert PacketStatus.IN_PROGRESS == "in_progress"
    assert "in_progress, high" == f"{PacketStatus.IN_PROGRESS}, {Priority.HIGH!s}"


def test_whatever_users_keep_is_written() -> None:
    """Custom values that JSON does not know are written as plain JSON."""
    context = PacketContext(summary="s", custom={"price": Decimal("1.5"), "at": datetime(2026, 3, 4), "who": {1}})
    assert {"price": 1.5, "at": "2026-03-04T00:00:00", "who": [1]} == context.to_dict()["custom"]
    json.dumps(context.to_dict())


def test_lists_are_not_shared() -> None:
    """What the caller does with his list afterwards does not change the record."""
    tags = ["a"]
    metadata = Metadata.from_dict({**FULL["metadata"], "tags": tags})
    tags.append("b")
    assert ["a"] == metadata.tags


@pytest.mark.parametrize(
    ("kind", "given", "field"),
    [
        (WebhookCreate, {"url": "ftp://x", "secret": "s" * 16}, "url"),
        (WebhookCreate, {"url": "https://x", "secret": "short"}, "secret"),
        (WebhookCreate, {"url": "https://x", "secret": "s" * 257}, "secret"),
        (WebhookCreate, {"url": "https://x", "secret": "s" * 16, "events": ["packet.eaten"]}, "events.0"),
        (ApiKeyCreate, {"name": "k", "role": "god"}, "role"),
        (ApiKeyCreate, {"name": ""}, "name"),
        (TenantCreate, {"name": "n" * 129}, "name"),
        (BatchClaimRequest, {"packet_ids": [], "agent_id": "a", "agent_name": "A"}, "packet_ids"),
        (BatchClaimRequest, {"packet_ids": [PACKET_ID] * 51, "agent_id": "a", "agent_name": "A"}, "packet_ids"),
        (BatchClaimRequest, {"packet_ids": ["x"], "agent_id": "a", "agent_name": "A"}, "packet_ids.0"),
    ],
)
def test_further_requests_are_checked(kind: Any, given: dict[str, Any], field: str) -> None:
    """What the server would refuse is refused here, with the field's name."""
    assert field == refused(lambda: kind.from_dict(given)).field


def test_secrets_do_not_show() -> None:
    """Neither a webhook's secret nor a key is in a repr."""
    webhook = WebhookCreate(url="https://x", secret="swordfish-swordfish")
    key = ApiKeyResponse.from_dict(
        {
            **dict.fromkeys(("id", "name", "key_prefix", "tenant_id", "role"), "k"),
            "created_at": "2026-03-04",
            "key": "hr_1",
        }
    )
    assert "swordfish" not in repr(webhook)
    assert "hr_1" not in repr(key)
    assert ("hr_1", "swordfish-swordfish") == (key.key, webhook.to_dict()["secret"])


def test_webhooks_are_told_of_four_events_by_default() -> None:
    """As the published client does it."""
    chosen = WebhookCreate(url="https://x", secret="s" * 16).to_dict()["events"]
    assert ["packet.created", "packet.claimed", "packet.completed", "packet.failed"] == chosen


def test_search_parameters() -> None:
    """What is not set is left out."""
    assert {"limit": "5", "offset": "0", "status": "failed"} == SearchOptions(limit=5, status="failed").to_params()


def test_records_can_be_pickled_and_copied() -> None:
    """They cross processes."""
    read = PacketResponse.from_dict(stored())
    assert read == pickle.loads(pickle.dumps(read)) == copy.deepcopy(read)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)
names = sorted({each.name for kind in RECORDS for each in fields(kind)})


@settings(max_examples=400)
@given(kind=st.sampled_from(RECORDS), value=anything | st.dictionaries(st.sampled_from(names), anything, max_size=8))
def test_reading_anything_gives_a_record_or_our_error(kind: type[models.Model], value: Any) -> None:
    """Whatever JSON comes, nothing of cattrs, attrs or Python escapes; what was read can be written and read again."""
    try:
        read = kind.from_dict(value)
    except ValidationError:
        return
    assert kind.from_dict(json.loads(json.dumps(read.to_dict()))).to_dict() == read.to_dict()


def test_all_models_are_at_both_doors() -> None:
    """`handlebar.handoff` and `handlebar.handoff.models` give the same."""
    for name in set(models.__all__) - {"Model"}:
        assert getattr(handlebar.handoff, name) is getattr(models, name)
