"""The run that brackets an invocation of a framework's agent."""

from __future__ import annotations

import pytest

from handlebar.core.client import HandlebarClient
from handlebar.core.messages import LLMMessage, LLMResponse
from handlebar.core.plane import ApprovalStatus
from handlebar.errors import NotInitialisedError
from handlebar.integrations.governing import invocation as module
from handlebar.integrations.governing.bracket import opened
from handlebar.integrations.governing.deltas import Keyed
from handlebar.integrations.governing.invocation import Invocations
from tests.support.clients import client_on
from tests.support.planes import ScriptedPlane


@pytest.fixture(name="plane")
def _plane() -> ScriptedPlane:
    return ScriptedPlane()


@pytest.fixture(name="client")
def _client(plane: ScriptedPlane, monkeypatch: pytest.MonkeyPatch) -> HandlebarClient:
    return client_on(plane, monkeypatch)


def test_a_run_of_its_own_ends_with_it(plane: ScriptedPlane, client: HandlebarClient) -> None:
    """As the exception says that left it; only the first end counts."""
    invocations = Invocations(client)
    begun = invocations.begin(lambda: {"session_id": "s-1"})
    assert "s-1" == begun.run.session_id
    invocations.finish(begun, TimeoutError())
    invocations.finish(begun)
    assert ["timeout"] == [status for _, status in plane.named("end")]


def test_the_callers_run_is_left_alone(plane: ScriptedPlane, client: HandlebarClient) -> None:
    """It is the caller's to end, and every invocation in it knows what was said."""
    invocations = Invocations(client)
    said = [Keyed("m-1", LLMMessage("user", "hello"))]
    with client.run("mine"):
        for _ in range(2):
            begun = invocations.begin()
            begun.to_model(said)
            invocations.finish(begun)
        assert [] == plane.named("end")
    client.shutdown_sync()
    assert 1 == plane.kinds().count("message.raw.created")


def test_what_began_the_run_ends_it(plane: ScriptedPlane, client: HandlebarClient) -> None:
    """Not an invocation inside it, which knows what was said all the same."""
    invocations = Invocations(client)
    with opened(invocations, dict) as outer:
        with opened(invocations, dict) as inner:
            assert (outer.run, outer.deltas, outer.gate) == (inner.run, inner.deltas, inner.gate)
        assert [] == plane.named("end")
    assert ["success"] == [status for _, status in plane.named("end")]


def test_a_run_that_got_lost_is_gone_on_with(client: HandlebarClient) -> None:
    """Never is a call ungoverned because nobody knows its run."""
    assert "lost" == Invocations(client).find("lost").run.run_id
    assert Invocations(client).find(None).is_own


def test_a_run_that_is_parked(plane: ScriptedPlane, client: HandlebarClient) -> None:
    """Does not end, is found by the calls that wait, and goes on as it was; once it has ended it is another."""
    invocations = Invocations(client)
    begun = invocations.begin()
    invocations.park(begun, ["call-1"])
    assert ([], begun.run.run_id) == (plane.named("end"), invocations.parked(["other", "call-1"]))
    assert begun is invocations.go_on(invocations.parked(["call-1"]))
    invocations.finish(begun)
    assert ["success"] == [status for _, status in plane.named("end")]
    again = invocations.go_on(invocations.parked(["call-1"]))
    assert (False, begun.run.run_id) == (again is begun, again.run.run_id)


def test_parked_runs_are_not_kept_for_ever(client: HandlebarClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest are forgotten, and gone on with by their id where the framework carries it."""
    monkeypatch.setattr(module, "_MOST_KEPT", 4)
    invocations = Invocations(client)
    begun = [invocations.begin() for _ in range(3)]
    for number, each in enumerate(begun):
        invocations.park(each, [f"call-{number}"])
    assert (None, begun[2].run.run_id) == (invocations.parked(["call-0"]), invocations.parked(["call-2"]))
    assert begun[0].run.run_id == invocations.go_on(begun[0].run.run_id).run.run_id


def test_the_callers_run_is_above_a_parked_one(client: HandlebarClient) -> None:
    """It is not parked, either: its owner does that."""
    invocations = Invocations(client)
    begun = invocations.begin()
    invocations.park(begun, ["call-1"])
    with client.run("mine"):
        mine = invocations.go_on(invocations.parked(["call-1"]))
        invocations.park(mine, ["call-2"])
    assert ("mine", None) == (mine.run.run_id, invocations.parked(["call-2"]))


@pytest.mark.parametrize(("status", "is_open"), [("pending", True), ("approved", False), ("denied", False)])
def test_whether_a_question_is_open(
    plane: ScriptedPlane, client: HandlebarClient, status: ApprovalStatus, is_open: bool
) -> None:
    """As the control plane tells."""
    plane.approval = status
    client.ready_sync()
    assert is_open is Invocations(client).is_open("approval-1")


def test_without_a_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to do."""
    monkeypatch.setattr("handlebar.core.front._default", [])
    with pytest.raises(NotInitialisedError, match=r"handlebar\.init"):
        Invocations().begin()


def test_invocations_that_have_ended_are_forgotten(client: HandlebarClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """And of those that never end, the oldest."""
    invocations = Invocations(client)
    for number in range(50):
        with client.run(f"run-{number}"):
            invocations.begin()
    assert len(invocations._kept) <= 2
    monkeypatch.setattr(module, "_MOST_KEPT", 5)
    for _ in range(50):
        invocations.begin()
    assert len(invocations._kept) <= 5


def test_what_cannot_be_recorded_disturbs_nobody(client: HandlebarClient) -> None:
    """The model's answer comes back as it was."""
    begun = Invocations(client).begin()
    answer = LLMResponse("hello", "m")
    broken: Keyed = Keyed("m-1", "no message")  # type: ignore[arg-type]
    assert {} == begun.to_model([broken])
    assert begun.from_model(None) is None  # type: ignore[arg-type]
    assert "hello" == begun.from_model(answer).output_text
