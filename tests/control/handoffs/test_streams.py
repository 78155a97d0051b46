"""Streams: each event of a tenant once, in order, from wherever a listener was."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handlebar.control.handoffs import streams
from handlebar.control.handoffs.streams import Stream
from handlebar.handoff.exchange import StreamEvent
from tests.support.control import at_once
from tests.support.webhooks import Post, a_post, an_event


@pytest.fixture(name="post")
def _post(tmp_path: Path) -> Iterator[Post]:
    with a_post(tmp_path / "plane.db") as made:
        yield made


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "POLL_SECONDS", 0.01)


def opened(post: Post, *channels: str, **more: Any) -> Stream:
    """Return a stream that is connected."""
    stream = Stream(post.database, more.pop("tenant", "default"), channels, **more)
    assert "connected" == next(stream).name
    return stream


def packets(events: Iterator[StreamEvent], number: int) -> list[str]:
    """Return the ids of the packets of the next events."""
    return [json.loads(event.data)["packet_id"] for event in islice(events, number)]


def numbered(*numbers: int) -> list[Any]:
    """Return events about packets with these numbers."""
    return [an_event(packet_id=f"p-{number}") for number in numbers]


def test_an_event_is_told_in_full(post: Post) -> None:
    """The first frame says connected; an event has its type, packet, status, metadata, details and time."""
    stream = opened(post)
    post.tells(an_event("hitl.response_ready", status="claimed", details={"hitl_response": "yes"}))
    event = next(stream)
    told = json.loads(event.data)
    assert "hitl.response_ready" == event.name == told["type"]
    assert {"type", "packet_id", "timestamp", "data"} == set(told)
    assert {"status": "claimed", "metadata": {"priority": "high"}, "hitl_response": "yes"} == told["data"]
    assert told["timestamp"].endswith("+00:00")


def test_a_listener_hears_from_now_on_or_from_where_it_was(post: Post) -> None:
    """Without an id what came before is not told; with one, what came after it is, in order and once."""
    post.tells(*numbered(1, 2, 3))
    stream = opened(post)
    post.tells(*numbered(4))
    event = next(stream)
    assert "p-4" == json.loads(event.data)["packet_id"]
    post.tells(*numbered(5, 6))
    assert ["p-5", "p-6"] == packets(opened(post, after=event.id), 2)
    assert ["p-1", "p-2", "p-3", "p-4", "p-5", "p-6"] == packets(opened(post, after="0"), 6)


def test_who_has_heard_nothing_yet_misses_nothing(post: Post) -> None:
    """The first frame has an id too, so that who loses the connection before any event goes on from there."""
    first = next(Stream(post.database, "default"))
    post.tells(*numbered(1))
    assert ["p-1"] == packets(opened(post, after=first.id), 1)


@pytest.mark.parametrize("after", ["", "x", "-1", "²", "9" * 30, "1e3", "999999"])
def test_an_id_that_is_none_means_from_now_on(post: Post, after: str) -> None:
    """What no stream of this database has given as an id does no harm."""
    post.tells(*numbered(1))
    stream = opened(post, after=after)
    post.tells(*numbered(2))
    assert ["p-2"] == packets(stream, 1)


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        ((), [1, 2, 3]),
        (("status:failed",), [2]),
        (("packet:p-1", "packet:p-3"), [1, 3]),
        (("agent:intake",), [1, 3]),
        (("agent:refunds",), [1]),
        (("agent:other", "status:failed"), [2, 3]),
        (("weather:sunny",), [1, 2, 3]),
        (("weather:sunny", "packet:p-2"), [2]),
    ],
)
def test_channels_choose(post: Post, channels: tuple[str, ...], expected: list[int]) -> None:
    """An event has to fit one of the channels; one of unknown kind says nothing; none at all let everything through."""
    stream = opened(post, *channels)
    post.tells(
        an_event(packet_id="p-1"),
        an_event(packet_id="p-2", status="failed", agents=()),
        an_event(packet_id="p-3", agents=("intake", "other")),
        an_event(packet_id="p-4", status="failed"),
    )
    last = "p-4" if set(channels) & {"status:failed"} or not channels or channels == ("weather:sunny",) else None
    heard = packets(stream, len(expected) + bool(last))
    assert [f"p-{number}" for number in expected] == [each for each in heard if each != last]


def test_another_tenant_hears_nothing(post: Post) -> None:
    """Of two tenants each hears its own events only, whatever it names as channel or id."""
    mine, theirs = opened(post), opened(post, "packet:p-1", tenant="other", after="0")
    post.tells(*numbered(1))
    post.tells(an_event(packet_id="p-1", metadata={"whose": "other"}), tenant="other")
    post.tells(*numbered(2))
    assert ["p-1", "p-2"] == packets(mine, 2)
    assert {"whose": "other"} == json.loads(next(theirs).data)["data"]["metadata"]


def test_silence_is_broken_by_signs_of_life(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while without an event there is a ping with the time; it can be gone on from, too."""
    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 0.05)
    ping = next(opened(post))
    assert ("ping", {"timestamp"}) == (ping.name, set(json.loads(ping.data)))
    post.tells(*numbered(1))
    assert ["p-1"] == packets(opened(post, after=ping.id), 1)


def test_it_ends(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream ends when its time is over, when whoever is asked says no, and when another thread closes it."""
    assert [] == list(opened(post, seconds=0.05))
    closed = opened(post)
    threading.Timer(0.1, closed.close).start()
    assert [] == list(closed)
    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 0.05)
    assert [] == list(opened(post, goes_on=lambda: False))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(1, 4), max_size=4))
def test_nothing_is_lost_or_doubled_over_connections(post: Post, cuts: list[int]) -> None:
    """However often a listener comes back with the last id it saw, it hears each event once and in order."""
    tenant = str(uuid4())
    after, heard = next(Stream(post.database, tenant)).id, list[str]()
    post.tells(*numbered(*range(12)), tenant=tenant)
    for cut in [*cuts, 12]:
        for event in islice(opened(post, after=after, tenant=tenant), min(cut, 12 - len(heard))):
            after = event.id
            heard.append(json.loads(event.data)["packet_id"])
    assert [f"p-{number}" for number in range(12)] == heard


def test_writers_that_race_are_all_heard(post: Post) -> None:
    """What four threads write at once, a listener hears all of, each event once."""
    stream = opened(post)
    at_once(
        [lambda start=start: [post.tells(*numbered(n)) for n in range(start, start + 10)] for start in range(0, 40, 10)]
    )
    assert {f"p-{number}" for number in range(40)} == set(packets(stream, 40))


def test_more_than_is_read_at_once_is_heard(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listener that was long away hears everything, among the events of others."""
    monkeypatch.setattr(streams, "_MOST_AT_ONCE", 3)
    stream = opened(post)
    for number in range(8):
        post.tells(*numbered(number))
        post.tells(*numbered(100 + number), tenant="other")
    post.tells(*[an_event()] * 5, tenant="other")
    assert [f"p-{number}" for number in range(8)] == packets(stream, 8)
    post.tells(*numbered(8))
    assert ["p-8"] == packets(stream, 1)
