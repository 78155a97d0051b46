"""From a hook to the sinks, before and after the agent has an id."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from handlebar.core.audit_trail import MAX_WAITING, AuditTrail, SentEnvelope
from handlebar.core.schema.events import AuditEvent, ErrorData, ErrorEvent
from handlebar.core.sinks.base import Sink
from handlebar.core.sinks.bus import SinkBus
from tests.support.forks import in_child


class _Kept(Sink):
    """Keeps what it is given."""

    def __init__(self, bus: SinkBus) -> None:
        self._bus = bus
        self._given: list[tuple[str, AuditEvent]] = []
        bus.add(self)

    def write_batch(self, agent_id: str, events: Sequence[AuditEvent]) -> None:
        """Keep them."""
        self._given.extend((agent_id, event) for event in events)

    @property
    def given(self) -> list[tuple[str, AuditEvent]]:
        """What has been given so far, what is on its way included."""
        self._bus.drain()
        return self._given


def _trail() -> tuple[AuditTrail, _Kept]:
    bus = SinkBus()
    return AuditTrail(bus), _Kept(bus)


def _event(number: int) -> AuditEvent:
    return ErrorEvent(time_ns=number, run_id="r", data=ErrorData(scope="agent", message=str(number)))


def test_events_wait_for_the_agents_id_and_keep_their_order() -> None:
    """What came before the registration goes out first, under the id."""
    trail, kept = _trail()
    trail.emit(_event(1))
    trail.emit(_event(2))
    assert [] == kept.given
    assert 2 == trail.queued
    trail.agent_registered("a-1")
    trail.emit(_event(3))
    assert [("a-1", 1), ("a-1", 2), ("a-1", 3)] == [(agent, event.time_ns) for agent, event in kept.given]
    assert 0 == trail.queued


def test_what_waits_is_bounded_and_the_oldest_are_counted() -> None:
    """An agent that is never registered does not fill the memory."""
    trail, kept = _trail()
    for number in range(MAX_WAITING + 7):
        trail.emit(_event(number))
    assert (trail.queued, trail.dropped) == (MAX_WAITING, {"unregistered": 7})
    trail.agent_registered("a-1")
    assert list(range(7, MAX_WAITING + 7)) == [event.time_ns for _, event in kept.given]


def test_no_event_is_left_behind_by_a_registration_meanwhile() -> None:
    """Threads that emit while the id comes lose nothing."""
    for _ in range(20):
        trail, kept = _trail()
        start = threading.Barrier(5)

        def work(trail: AuditTrail = trail, start: threading.Barrier = start) -> None:
            start.wait()
            for number in range(50):
                trail.emit(_event(number))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        start.wait()
        trail.agent_registered("a-1")
        for thread in threads:
            thread.join()
        assert (200, 0) == (len(kept.given), trail.queued)


def test_what_the_parent_holds_back_stays_the_parents() -> None:
    """A child of a fork neither sends nor counts it."""
    trail, kept = _trail()
    trail.emit(_event(1))

    def child() -> str:
        trail.agent_registered("child")
        trail.emit(_event(2))
        return " ".join(f"{agent}:{event.time_ns}" for agent, event in kept.given)

    assert "child:2" == in_child(child)
    trail.agent_registered("parent")
    assert [("parent", 1)] == [(agent, event.time_ns) for agent, event in kept.given]


def test_an_event_that_cannot_be_built_is_no_problem_of_the_agents() -> None:
    """A fault of ours while recording is swallowed."""
    trail, kept = _trail()
    trail.agent_registered("a-1")

    def faulty() -> ErrorData:
        raise ZeroDivisionError

    SentEnvelope(trail=trail, run_id="r").emit(ErrorEvent, faulty, step_index=0)
    assert [] == kept.given
