"""What is read from messages that anybody may have written."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlebar.core.current import Place
from handlebar.core.request_scope import Loader, RequestScope, Sources
from handlebar.core.schema.agents import Actor
from handlebar.integrations.celery import lineage, parking
from handlebar.integrations.celery.lineage import Lineage
from handlebar.integrations.celery.parking import Parked
from handlebar.integrations.celery.sealing import KeyedSealing, NoSealing

OPEN = NoSealing()
ANN = Lineage(session_id="s", actor=Actor("ann", metadata={"plan": "gold"}), parent_run="r-2", root_run="r-1")
WAITING = Parked(token="t", approval_id="a-1", since=1.5, looks=3)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
NAMES = st.sampled_from(["v", "session", "actor", "parent_run", "root_run", "token", "approval", "since", "looks"])


def wrote(told: Lineage = ANN, **more: Any) -> dict[str, Any]:
    """Return the headers of a message that tells *told*."""
    return {"handlebar": {**(lineage.write(told, "task-1", OPEN) or {}), **more}}


def test_what_is_written_is_read() -> None:
    """Both headers come through as they went, at either of the two places of Celery's versions."""
    assert ANN == lineage.read(wrote(), "task-1", OPEN)
    assert ANN == lineage.read({"headers": wrote()}, "task-1", OPEN)
    parked = {parking.HEADER.name: parking.write(WAITING, "task-1", OPEN)}
    assert WAITING == parking.read(parked, "task-1", OPEN)


def test_published_in_a_request() -> None:
    """Where no run is current, the request tells for whom and in which conversation; a loop asks nobody."""
    sources = Sources(actor=Loader(lambda: "ann"), session=Loader(lambda: "s"))

    async def on_a_loop() -> Lineage:
        return lineage.lineage_here()

    with Place(RequestScope(sources)):
        assert Lineage(session_id="s", actor=Actor("ann")) == lineage.lineage_here()
        assert lineage.NONE == asyncio.run(on_a_loop())


def test_nothing_to_tell() -> None:
    """Outside of any run and request no header is written."""
    assert lineage.NONE == lineage.lineage_here()
    assert lineage.write(lineage.NONE, "task-1", OPEN) is None


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(NAMES | st.text(), JSON) | JSON, st.booleans())
def test_junk(content: Any, is_versioned: bool) -> None:
    """Whatever stands in a header, reading it gives something well-formed or nothing."""
    said = {**content, "v": 1} if is_versioned and isinstance(content, dict) else content
    for headers in ({"handlebar": said, "handlebar_parked": said}, {"headers": said}):
        assert isinstance(lineage.read(headers, "task-1", OPEN), (Lineage, type(None)))
        assert isinstance(parking.read(headers, "task-1", OPEN), (Parked, type(None)))


@pytest.mark.parametrize("more", [{"v": 2}, {"session": 7}, {"parent_run": ["r"]}, {"actor": "ann"}, {"x": "x" * 2048}])
def test_malformed(more: dict[str, Any]) -> None:
    """A header of another version, with a value of the wrong type, or of more than 2 KB is not believed."""
    assert lineage.read(wrote(**more), "task-1", OPEN) is None


def test_too_long() -> None:
    """Of an actor with much to tell the id is sent alone; nothing at all where not even that fits."""
    told = Actor("ann", metadata={"story": "x" * 4000})
    assert Actor("ann") == lineage.read(wrote(Lineage(actor=told)), "task-1", OPEN).actor  # type: ignore[union-attr]
    assert lineage.write(Lineage(actor=Actor("x" * 4000)), "task-1", OPEN) is None


def test_sealed() -> None:
    """With a key only headers are believed that were sealed with it, for the same task, and were not changed."""
    sealing, other = KeyedSealing(b"the key"), KeyedSealing(b"another")
    content = lineage.write(ANN, "task-1", sealing)
    assert content is not None
    turned = dict(reversed(content.items()))
    assert ANN == lineage.read({"handlebar": turned}, "task-1", sealing)
    assert lineage.read({"handlebar": content}, "task-2", sealing) is None
    assert lineage.read({"handlebar": content}, "task-1", other) is None
    assert lineage.read({"handlebar": {**content, "session": "mine"}}, "task-1", sealing) is None
    assert lineage.read(wrote(), "task-1", sealing) is None
    assert parking.read({parking.HEADER.name: content}, "task-1", sealing) is None
    assert "the key" not in repr(sealing)
