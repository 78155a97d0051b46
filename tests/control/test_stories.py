"""Stories: runs that hand-offs link."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from handlebar import HandlebarClient, HandlebarClientConfig
from handlebar.control.administration import Administration
from handlebar.control.database import Database
from handlebar.control.stories import Story
from handlebar.handoff import HandoffPacket, HandoffRailClient
from tests.support.control import url_of


@pytest.fixture(name="url")
def _url(tmp_path: Path) -> str:
    return url_of(tmp_path / "plane.db")


@pytest.fixture(name="agent")
def _agent(url: str) -> Iterator[HandlebarClient]:
    client = HandlebarClient.init_sync(HandlebarClientConfig(agent="ring", api_endpoint=url))
    yield client
    client.shutdown_sync()


@pytest.fixture(name="handoffs")
def _handoffs(url: str) -> Iterator[HandoffRailClient]:
    with HandoffRailClient(url) as client:
        yield client


def told(agent: HandlebarClient, url: str, run_id: str, *, tenant: str = "default") -> Story:
    """Return the story of a run, once all that has happened is recorded."""
    agent.drain_sync()
    with closing(Database(url)) as database:
        return Administration(database, tenant).story_of(run_id)


def test_a_circle(agent: HandlebarClient, handoffs: HandoffRailClient, url: str) -> None:
    """Of runs that hand over to each other is told once, from wherever one begins."""
    packet = None
    for number in (1, 2, 1, 3):
        with agent.run(run_id=f"run-{number}", session_id="ring", resume=packet) as run:
            packet = handoffs.create_packet(run.to_packet(summary="Again").to_agent("ring", "Ring").build())
    for number in (1, 2, 3):
        story = told(agent, url, f"run-{number}")
        assert ["run-1", "run-2", "run-3"] == [each.run_id for each in story.runs]
        assert 4 == len(story.packets)
        assert {"run-1", "run-2", "run-3"} == {event.run_id for event in story.events}


def test_runs_without_a_session(agent: HandlebarClient, handoffs: HandoffRailClient, url: str) -> None:
    """Are linked as well: the run that hands over is the session of the one that takes over."""
    with agent.run(run_id="first") as run:
        packet = handoffs.create_packet(run.to_packet(summary="Over").to_agent("ring", "Ring").build())
    with agent.run(run_id="second", resume=packet):
        pass
    assert ["first", "second"] == [each.run_id for each in told(agent, url, "second").runs]
    assert ["first", "second"] == [each.run_id for each in told(agent, url, "first").runs]


@pytest.mark.parametrize("link", ["first", {"run_id": ["first"]}, {"run_id": "first", "session_id": {}}, {}])
def test_what_others_have_written(agent: HandlebarClient, handoffs: HandoffRailClient, url: str, link: object) -> None:
    """In a packet's link is an id at most, and harms no story."""
    made = HandoffPacket.builder().from_agent("a", "A").to_agent("b", "B").with_summary("Odd")
    handoffs.create_packet(made.with_custom({"handlebar": link}).build())
    with agent.run(run_id="first"):
        pass
    story = told(agent, url, "first")
    assert ["first"] == [each.run_id for each in story.runs]
    assert (link == {"run_id": "first", "session_id": {}}) == bool(story.packets)


def test_stories_end_at_the_tenant(agent: HandlebarClient, handoffs: HandoffRailClient, url: str) -> None:
    """Another one has neither runs nor packets of that id."""
    with agent.run(run_id="first") as run:
        handoffs.create_packet(run.to_packet(summary="Over").to_agent("ring", "Ring").build())
    assert Story(runs=(), events=(), packets=(), approvals=()) == told(agent, url, "first", tenant="north")
