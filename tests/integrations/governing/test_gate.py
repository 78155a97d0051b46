"""The gate that every adapter's tool calls go through."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from handlebar.core.client import HandlebarClient
from handlebar.core.config import RunConfig
from handlebar.core.run import Run
from handlebar.core.schema.governance import Decision
from handlebar.integrations.governing.gate import Gate, Outcome, Refusal, ToolCall, governed, governed_async
from tests.integrations.frameworks.office import ASK, in_turn
from tests.support.clients import client_on
from tests.support.planes import ALLOW, BLOCK, STOP, ScriptedPlane


class SoftTimeLimitExceeded(Exception):
    """Named as Celery's, which raises it anywhere."""


@pytest.fixture(name="plane")
def _plane() -> ScriptedPlane:
    return ScriptedPlane()


@pytest.fixture(name="client")
def _client(plane: ScriptedPlane, monkeypatch: pytest.MonkeyPatch) -> HandlebarClient:
    return client_on(plane, monkeypatch)


@pytest.fixture(name="run")
def _run(client: HandlebarClient) -> Run:
    return client.start_run_sync(RunConfig("run-1"))


def a_call(name: Any = "search", **more: Any) -> ToolCall:
    """Return a call."""
    return ToolCall(**{"name": name, "args": {"q": 1}, "call_id": "c-1", **more})


def test_what_may_run_is_recorded_when_it_ends(plane: ScriptedPlane, run: Run) -> None:
    """With its result, once, however often the framework says so."""
    gate = Gate(run, fail_closed=True)
    assert gate.before(a_call()) is None
    for _ in range(2):
        assert gate.after("c-1", Outcome("found")) is None
    assert ["tool.before", "tool.after"] == [each.phase for each in plane.named("evaluate")]


def test_a_refusal_says_why_and_is_not_recorded_as_a_result(plane: ScriptedPlane, run: Run) -> None:
    """Frameworks call after-hooks for refused calls too."""
    plane.answer = BLOCK
    gate = Gate(run, fail_closed=True)
    refusal = gate.before(a_call())
    assert isinstance(refusal, Refusal)
    assert "Blocked by policy: Too much Ask for less." == refusal.text
    assert gate.after("c-1", Outcome("the refusal")) is None
    assert 1 == len(plane.named("evaluate"))


def test_a_result_that_policy_withholds(plane: ScriptedPlane, run: Run) -> None:
    """Is answered by a refusal, and a TERMINATE stops the run."""
    plane.answer = in_turn(ALLOW, STOP)
    gate = Gate(run, fail_closed=True)
    assert "Blocked by policy: Enough" == governed(gate, a_call(), lambda: "found").text  # type: ignore[union-attr]
    assert gate.should_stop


@pytest.mark.parametrize("fail_closed", [True, False])
def test_a_failure_of_ours_follows_the_fail_mode(run: Run, monkeypatch: pytest.MonkeyPatch, fail_closed: bool) -> None:
    """And a run that was closed by it stays closed."""
    gate = Gate(run, fail_closed=fail_closed)
    with monkeypatch.context() as broken:
        broken.setattr(run, "before_tool_sync", lambda *args, **more: 1 / 0)
        assert fail_closed is (gate.before(a_call()) is not None)
    assert fail_closed is (gate.before(a_call()) is not None)
    assert fail_closed is gate.should_stop


def test_what_celery_throws_in_passes(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is meant for the task."""

    def struck(*args: Any, **more: Any) -> Any:
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(run, "before_tool_sync", struck)
    with pytest.raises(SoftTimeLimitExceeded):
        Gate(run, fail_closed=True).before(a_call())


@pytest.mark.parametrize("name", ["", None, 7])
def test_a_call_without_a_name_is_asked_about(plane: ScriptedPlane, run: Run, name: Any) -> None:
    """No name that a model makes up lets a call through."""
    plane.answer = BLOCK
    assert Gate(run, fail_closed=False).before(a_call(name)) is not None


@pytest.mark.parametrize("tags", [7, "read", {"a": 1}, [1, None]])
def test_odd_tags_are_no_reason_to_let_a_call_through(plane: ScriptedPlane, run: Run, tags: Any) -> None:
    """They are left out."""
    plane.answer = BLOCK
    assert Gate(run, fail_closed=False).before(a_call(tags=tags)) is not None
    assert () == plane.named("evaluate")[0].tool_tags


def test_the_answer_of_a_person_is_found(plane: ScriptedPlane, run: Run) -> None:
    """When the same call is made again; another call of that id asks for itself."""
    plane.answer = in_turn(ASK, ALLOW, BLOCK)
    gate = Gate(run, fail_closed=True)
    refusal = gate.before(a_call())
    assert refusal is not None
    assert refusal.is_pending
    plane.approval = "approved"
    assert gate.before(a_call()) is None
    assert gate.before(a_call(args={"q": 2})) is not None


@pytest.mark.parametrize(("status", "then"), [("approved", ALLOW), ("denied", BLOCK)])
@pytest.mark.parametrize("order", [("c-1", "c-2"), ("c-2", "c-1")])
def test_the_answer_of_a_person_is_to_one_call(
    plane: ScriptedPlane, run: Run, status: Any, then: Decision, order: Sequence[str]
) -> None:
    """Another call, that was held up by the question, is decided for itself when it is made again."""
    calls = {"c-1": a_call("pay"), "c-2": a_call("search", call_id="c-2")}
    plane.answer = lambda request: ALLOW if request.tool_name == "search" else ASK
    gate = Gate(run, fail_closed=True)
    assert [True, True] == [refusal is not None and refusal.is_pending for refusal in map(gate.before, calls.values())]
    assert ["pay"] == [each.tool_name for each in plane.named("evaluate")]
    plane.approval = status
    plane.answer = lambda request: ALLOW if request.tool_name == "search" else then
    answers = {call_id: gate.before(calls[call_id]) for call_id in order}
    assert (then is ALLOW, True) == (answers["c-1"] is None, answers["c-2"] is None)
    assert 3 == len(plane.named("evaluate"))


@pytest.mark.parametrize("answer", [ALLOW, BLOCK])
def test_an_answer_ahead_of_time_is_given_again_once(plane: ScriptedPlane, run: Run, answer: Decision) -> None:
    """Nobody is asked twice about one call; the next call of that id asks for itself."""
    plane.answer = answer
    gate = Gate(run, fail_closed=True)
    ahead = gate.ahead(a_call())
    assert (ahead, 1) == (gate.before(a_call()), len(plane.named("evaluate")))
    gate.before(a_call())
    assert 2 == len(plane.named("evaluate"))


def test_an_answer_ahead_of_time_that_a_stop_overtakes(plane: ScriptedPlane, run: Run) -> None:
    """Is worth nothing any more."""
    plane.answer = in_turn(ALLOW, STOP)
    gate = Gate(run, fail_closed=True)
    gate.ahead(a_call())
    gate.before(a_call(call_id="c-2"))
    assert gate.before(a_call()) is not None


def test_a_question_ahead_of_time(plane: ScriptedPlane, run: Run) -> None:
    """Is not remembered: the person may have answered since."""
    plane.answer = in_turn(ASK, ALLOW)
    gate = Gate(run, fail_closed=True)
    ahead = gate.ahead(a_call())
    assert ahead is not None
    assert ahead.is_pending
    plane.approval = "approved"
    assert gate.before(a_call()) is None


def test_a_call_that_is_interrupted_goes_on_once(plane: ScriptedPlane, run: Run) -> None:
    """Without being asked about again; the next call of that id, or with other arguments, is."""
    gate = Gate(run, fail_closed=True)

    def interrupted() -> str:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        governed(gate, a_call(), interrupted, suspends=(InterruptedError,))
    assert gate.before(a_call(args={"q": 2})) is None
    assert gate.before(a_call()) is None
    assert 2 == len(plane.named("evaluate"))
    assert gate.before(a_call()) is None
    assert 3 == len(plane.named("evaluate"))


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), asyncio.CancelledError()])
@pytest.mark.parametrize("make", [governed, None])
def test_what_a_tool_raises_is_recorded_and_goes_on(
    plane: ScriptedPlane, client: HandlebarClient, run: Run, error: BaseException, make: Callable[..., Any] | None
) -> None:
    """The very same exception."""
    gate = Gate(run, fail_closed=True)

    def body() -> Any:
        raise error

    async def async_body() -> Any:
        raise error

    async def caught() -> BaseException:
        try:
            await governed_async(gate, a_call(), async_body)
        except BaseException as raised:
            return raised
        raise AssertionError

    if make is None:
        assert error is asyncio.run(caught())
    else:
        with pytest.raises(type(error)) as raised:
            make(gate, a_call(), body)
        assert error is raised.value
    client.shutdown_sync()
    assert ["error"] == [each.data.outcome for each in plane.events if each.kind == "tool.result"]
